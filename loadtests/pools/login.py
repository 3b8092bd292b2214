"""`Login`: the Vault token behind the leases."""

from __future__ import annotations

import time
from contextlib import suppress

from loadtests.pools.generation import Counts
from loadtests.vault import Token, VaultClient, VaultError, VaultUnavailable


class Login:
    """Keeps one token, and takes another when it is refused or too short. One thread uses it."""

    def __init__(self, vault: VaultClient, counts: Counts) -> None:
        self._vault = vault
        self._counts = counts
        self.current: Token | None = None

    def again(self) -> Token:
        """Log in anew. Raises what `VaultClient.login` raises."""
        self.current = self._vault.login()
        self._counts.logins += 1
        return self.current

    def token(self, seconds: float) -> Token | None:
        """Return a token good for `seconds` more, renewed if need be; None to log in again."""
        token = self.current
        if token is None:
            return None
        if token.expires_at - time.monotonic() >= seconds:
            return token
        with suppress(VaultError):
            if token.renewable:
                self.current = token = self._vault.renew_token(token)
        # half of it will do where the token's own TTL gives no more
        return token if token.expires_at - time.monotonic() >= seconds / 2 else None

    def stretch(self, token: Token, seconds: float) -> None:
        """Renew `token` where it is the current one and ends within `seconds`.

        An outage is not raised: the renewal of the lease, which follows, will meet it too.
        """
        current = self.current
        if current is None or current.value != token.value or not current.renewable:
            return
        if current.expires_at - time.monotonic() < seconds:
            with suppress(VaultUnavailable):
                self.current = self._vault.renew_token(current)

    def latest(self, token: Token) -> Token:
        """Return `token` as it was last renewed."""
        if self.current is not None and self.current.value == token.value:
            return self.current
        return token
