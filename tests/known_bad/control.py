"""`ControlPool`: a plain lease-aware pool without a known defect, which the bad ones differ from.

It is here so that a bad client's one defect is all that tells it from a good one. It has to pass
wherever they fail; for real use there is `loadtests.pools.LeaseAwarePool`.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from random import SystemRandom
from typing import Any

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from loadtests.pools.errors import ConnectFailed
from loadtests.pools.postgres import connect_arguments, credential_refused
from loadtests.secrets import redact
from loadtests.target import Target
from loadtests.vault import AuthRefused, Issued, VaultClient, VaultError

#: Seconds that sessions of a replaced lease are given to come back before it is revoked.
_DRAIN_SECONDS = 3.0
_RANDOM = SystemRandom()


class Session(psycopg.Connection[TupleRow]):
    """Connects with the pool's credential; one that is refused costs a new one and one retry."""

    @classmethod
    def connect(cls, conninfo: str = "", *, of: ControlPool | None = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """Open a connection. psycopg's own errors are dropped: they show the password."""
        assert of is not None
        issued = of.credential
        for last_try in (False, True):
            try:
                login = {"user": issued.username, "password": issued.password}
                return super().connect(conninfo, **kwargs, **login)
            except psycopg.OperationalError as error:
                refused, reason = credential_refused(error), redact(str(error))
            if last_try or not refused:
                raise ConnectFailed(reason)
            issued = of.refused(issued)
        raise AssertionError("unreachable")


class ControlPool(ConnectionPool[Session]):
    """psycopg_pool on one lease that a thread renews, replaces in time and gives back."""

    checks = True

    def __init__(
        self, target: Target, *, name: str, min_size: int, max_size: int, timeout: float
    ) -> None:
        """Log in and take a credential; raises what `loadtests.vault` raises. `open` connects."""
        self._vault = VaultClient(target)
        self._busy = threading.RLock()  # a VaultClient serves one thread at a time
        self._ending = threading.Event()
        self._old: list[tuple[float, Issued]] = []
        self._token = self._vault.login()
        self.credential = self.take()
        super().__init__(
            connection_class=Session,
            kwargs={**connect_arguments(target.postgres, application_name=name), "of": self},
            min_size=min_size,
            max_size=max_size,
            open=False,
            name=name,
            timeout=timeout,
            check=ConnectionPool.check_connection if self.checks else None,
        )
        self._keeper = threading.Thread(target=self._keep, name=f"{name}-lease", daemon=True)

    def open(self, wait: bool = False, timeout: float = 30.0) -> None:
        """Connect, and begin to look after the lease."""
        super().open(wait, timeout)
        self._keeper.start()

    def lease(self) -> dict[str, Any]:
        """Return the role in use."""
        return {"username": self.credential.username}

    def close(self, timeout: float = 5.0) -> None:
        """Close the connections, then give back what is leased."""
        self._ending.set()
        if self._keeper.ident is not None:
            self._keeper.join(timeout)
        super().close(timeout)
        self.give_all_back()

    # -- what the bad ones do otherwise -----------------------------------------------------------

    def next_renewal(self, granted_at: float, seconds: float) -> float:
        """Return when to renew a lease of `seconds` that was granted at `granted_at`."""
        return granted_at + _RANDOM.uniform(0.3, 0.7) * seconds

    def refused(self, issued: Issued) -> Issued:
        """Return a credential in place of one that Postgres refused; one for all who ask."""
        with self._busy:
            if self.credential is issued:
                self.credential = self.take()
            return self.credential

    def replace(self) -> None:
        """Take a new lease, let go of the sessions of the old one, and give it back later."""
        with self._busy:
            old, self.credential = self.credential, self.take()
        self.drain()
        self._old.append((time.monotonic() + _DRAIN_SECONDS, old))

    def give_back(self, issued: Issued) -> None:
        """Give one lease back; what is gone is gone."""
        with suppress(VaultError):
            self._vault.revoke(self._token, issued.lease_id)

    def give_all_back(self) -> None:
        """End the login, and with it every lease."""
        with self._busy, suppress(VaultError):
            self._vault.revoke_token(self._token)

    def take(self) -> Issued:
        """Take a new lease, with a new login when the old one is refused."""
        with self._busy:
            with suppress(AuthRefused):
                return self._vault.issue(self._token)
            self._token = self._vault.login()
            return self._vault.issue(self._token)

    # -- the thread -------------------------------------------------------------------------------

    def _keep(self) -> None:
        kept, due = None, 0.0
        while not self._ending.wait(min(0.2, max(0.01, due - time.monotonic()))):
            current = self.credential
            if current is not kept:
                kept = current
                due = self.next_renewal(current.asked_at, current.lease_seconds)
            if time.monotonic() >= due:
                due = self._renew(current)
            self._give_old_ones_back()

    def _renew(self, current: Issued) -> float:
        """Renew, or replace what can't be renewed in full; return when to renew again."""
        try:
            with self._busy:
                asked_at, granted = self._vault.renew(
                    self._token, current.lease_id, current.lease_seconds
                )
            if granted >= current.lease_seconds - 0.5:
                return self.next_renewal(asked_at, granted)
        except VaultError:
            pass
        with suppress(VaultError):
            self.replace()
        return time.monotonic() + _RANDOM.uniform(0.5, 1.5)

    def _give_old_ones_back(self) -> None:
        for due, issued in list(self._old):
            if time.monotonic() >= due:
                self._old.remove((due, issued))
                with self._busy:
                    self.give_back(issued)


CONTROL = f"{__name__}:ControlPool"
