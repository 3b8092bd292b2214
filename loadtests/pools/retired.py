"""`Retired`: generations that were replaced, until their leases are given back."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from loadtests.pools.generation import Counts, Generation
from loadtests.pools.login import Login
from loadtests.vault import AuthRefused, LeaseGone, RequestRefused, VaultClient, VaultError


class Retired:
    """Revokes the lease of an old generation once none of its sessions is left.

    A lease that can't be revoked ends by itself; no failure here is raised.
    """

    def __init__(
        self,
        vault: VaultClient,
        login: Login,
        counts: Counts,
        *,
        name: str,
        sessions: Callable[[int], int],
    ) -> None:
        self._vault, self._login, self._counts = vault, login, counts
        self._sessions = sessions
        self._waiting: list[Generation] = []
        self._log = structlog.get_logger("loadtests.pools").bind(pool=name)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, old: Generation) -> None:
        """Note a generation that was replaced."""
        self._waiting.append(old)

    def revoke_unused(self, current: Generation | None) -> None:
        """Revoke what has no session left; what has some is left to them until its lease ends."""
        for old in list(self._waiting):
            if time.monotonic() >= old.lease.expires_at:
                self._waiting.remove(old)
            elif self._sessions(old.number) == 0:
                self._waiting.remove(old)
                self.revoke(old, current)

    def revoke(self, old: Generation, current: Generation | None) -> None:
        """Revoke the lease of `old`, and the login that made it if nothing else needs it."""
        try:
            self._vault.revoke(old.token, old.issued.lease_id)
            self._counts.revocations += 1
        except VaultError as error:
            self._log.info("lease not revoked", generation=old.number, reason=str(error))
        in_use = {one.token.value for one in (*self._waiting, current) if one is not None}
        if self._login.current is not None:
            in_use.add(self._login.current.value)
        if old.token.value not in in_use:
            with suppress(VaultError):
                self._vault.revoke_token(old.token)

    def give_back(self, current: Generation | None) -> None:
        """Revoke all that is left, newest first, and the login; stop at the first outage."""
        held = [one for one in (current, *self._waiting) if one is not None]
        self._waiting.clear()
        for one in held:
            try:
                self._vault.revoke(one.token, one.issued.lease_id)
                self._counts.revocations += 1
            except (AuthRefused, LeaseGone, RequestRefused):
                continue  # gone already, or it goes with its token
            except VaultError as error:
                self._log.warning("leases left to expire", reason=str(error))
                return
        tokens = {one.token.value: one.token for one in held}
        if self._login.current is not None:
            tokens[self._login.current.value] = self._login.current
        for token in tokens.values():
            with suppress(VaultError):
                self._vault.revoke_token(token)
