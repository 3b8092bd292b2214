"""The `psycopg-callable` pool: psycopg_pool as its documentation says to use it with credentials
that change: callable `kwargs` (3.3.0) that ask Vault on every connect, and `check`."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from loadtests.pools.postgres import connect_arguments
from loadtests.pools.shared_lease import VaultSession
from loadtests.target import Target
from loadtests.vault import Issued


class PsycopgCallablePool(ConnectionPool[psycopg.Connection[TupleRow]]):
    """psycopg_pool that takes one lease a connection.

    It survives a revocation (`check` finds the dead connections, each is replaced with a lease of
    its own) at the price of one lease, and one role in Postgres, for each connection. Nothing is
    renewed, so Vault ends every session after the role's ttl, in the middle of a statement or not.
    """

    def __init__(
        self, target: Target, *, name: str, min_size: int, max_size: int, timeout: float
    ) -> None:
        """Take the first credential; raises what `loadtests.vault` raises. `open` connects."""
        self._vault = VaultSession(target)
        # A role that does not exist has to be said here. In a worker of the pool it would be a
        # warning in a log, and a timeout half a minute later.
        self._first: list[Issued] = [self._vault.first()]
        self._arguments = connect_arguments(target.postgres, application_name=name)
        super().__init__(
            kwargs=self._with_new_credential,
            min_size=min_size,
            max_size=max_size,
            open=False,
            name=name,
            timeout=timeout,
            check=ConnectionPool.check_connection,
        )

    def _with_new_credential(self) -> dict[str, Any]:
        try:
            issued = self._first.pop()  # atomic: the workers call this side by side
        except IndexError:
            issued = self._vault.issue()
        return {**self._arguments, "user": issued.username, "password": issued.password}

    def lease(self) -> dict[str, Any]:
        """Return how many leases were taken."""
        return {"issues": self._vault.issues}

    def close(self, timeout: float = 5.0) -> None:
        """Close the connections, then end the login, and with it all leases."""
        super().close(timeout)
        self._vault.close()
