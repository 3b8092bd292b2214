"""`SharedLease`: one credential for all connections of a pool that has no idea of leases."""

from __future__ import annotations

import threading
from contextlib import suppress

from loadtests.target import Target
from loadtests.vault import AuthRefused, Issued, Token, VaultClient, VaultError


class VaultSession:
    """Takes credentials, from any thread: logs in once, and again when the login is refused.

    It renews nothing: Vault ends each lease after the role's ttl, and all of them with the login.
    """

    def __init__(self, target: Target) -> None:
        self.issues = 0
        self._vault = VaultClient(target)
        self._token: Token | None = None
        self._lock = threading.Lock()  # a VaultClient serves one thread at a time

    def first(self) -> Issued:
        """Take the first credential; raise as `issue` does, and leave nothing behind then."""
        try:
            return self.issue()
        except VaultError:
            self.close()
            raise

    def issue(self) -> Issued:
        """Take a new credential. Raises what `loadtests.vault` raises."""
        with self._lock:
            if self._token is not None:
                with suppress(AuthRefused):  # a login that ended, or was revoked: log in anew
                    return self._issue(self._token)
            self._token = self._vault.login()
            return self._issue(self._token)

    def _issue(self, token: Token) -> Issued:
        issued = self._vault.issue(token)
        self.issues += 1
        return issued

    def close(self) -> None:
        """End the login, which ends its leases; without Vault they are left to their ttl."""
        with self._lock:
            if self._token is not None:
                with suppress(VaultError):
                    self._vault.revoke_token(self._token)
                self._token = None
            self._vault.close()


class SharedLease:
    """The credential that all connections use until Postgres refuses it."""

    def __init__(self, vault: VaultSession) -> None:
        """Take it. Raises what `loadtests.vault` raises."""
        self._vault = vault
        self._issued: Issued | None = vault.first()
        self._lock = threading.Lock()

    def get(self) -> Issued:
        """Return the credential in use, a new one after a refusal. Raises a `VaultError`."""
        with self._lock:
            if self._issued is None:
                self._issued = self._vault.issue()
            return self._issued

    def refused(self, issued: Issued) -> None:
        """Say that Postgres refused `issued`: the next `get` takes another, whoever calls it."""
        with self._lock:
            if self._issued is issued:
                self._issued = None

    @property
    def username(self) -> str | None:
        """The dynamic role in use; no secret."""
        return self._issued.username if self._issued else None
