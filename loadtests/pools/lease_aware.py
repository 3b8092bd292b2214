"""`LeaseAwarePool`: psycopg_pool's `ConnectionPool` on a dynamic role of Vault.

An application swaps it in by one line: same `connection`, `getconn`, `putconn`, `wait`, `close`,
timeouts and statistics. `AsyncLeaseAwarePool` is its asyncio twin.
"""

from __future__ import annotations

import time
from typing import Any

from psycopg_pool import ConnectionPool, PoolTimeout

from loadtests.pools.errors import ConnectFailed, CredentialsUnavailable
from loadtests.pools.opener import SessionOpener
from loadtests.pools.sessions import ADMIN_SHUTDOWN, LeasedConnection
from loadtests.target import Target
from loadtests.vault import VaultClient


class LeaseAwarePool(ConnectionPool[LeasedConnection]):
    """A pool whose connections live and die with a lease.

    No connection is lent past its lease's deadline. When the role is revoked, sessions are ended
    or Postgres refuses the login, one new lease is taken, whoever notices, and requests wait for
    it up to their timeout. A statement is never sent twice: one that was running on a session
    when it was killed fails.

    Connecting never gives up: psycopg_pool's `reconnect_timeout` has no effect. A connection that
    was found dead at checkout and replaced counts in `requests_num` once more.
    """

    _opener: SessionOpener

    def __init__(
        self,
        target: Target,
        *,
        min_size: int = 4,
        max_size: int | None = None,
        open: bool = False,  # noqa: A002 - psycopg_pool's name
        name: str | None = None,
        timeout: float = 30.0,
        outage_grace: float = 3.0,
        max_ttl: float | None = None,
        kwargs: dict[str, Any] | None = None,
        vault: VaultClient | None = None,
        **pool_arguments: Any,
    ) -> None:
        """Make a pool; `open`, or `with`, starts it.

        `outage_grace`: seconds that requests without a credential wait for Vault (an election
        takes 1 to 3) before they fail at once. `max_ttl`: seconds, where known; otherwise a
        truncated renewal tells. `kwargs`: further arguments of each connect. The rest is
        psycopg_pool's.
        """
        super().__init__(
            connection_class=LeasedConnection,
            kwargs=lambda: {"opener": self._opener.open},
            min_size=min_size,
            max_size=max_size,
            open=False,
            name=name,
            timeout=timeout,
            **pool_arguments,
        )
        self._opener = SessionOpener(
            target,
            name=self.name,
            adopted=self.drain,
            gave_up=self._fail_waiting,
            outage_grace=outage_grace,
            max_ttl=max_ttl,
            kwargs=kwargs,
            vault=vault,
        )
        self._state = self._opener.state
        if open:
            self.open()

    # What an application calls ----------------------------------------------------------------

    def open(self, wait: bool = False, timeout: float = 30.0) -> None:
        """Start: log in, take a lease and connect, in the background; see `wait`."""
        with self._lock:
            if self._closed:
                self._check_open()
                self._opener.keeper.start()
        super().open()
        if wait:
            self.wait(timeout)

    def wait(self, timeout: float = 30.0) -> None:
        """Wait for `min_size` connections.

        Raises `CredentialsUnavailable` or `CredentialsRefused` as soon as Vault's answer is
        clear, `ConnectFailed` or `PoolTimeout` after `timeout` seconds. The pool is closed then,
        and what it held is given back.
        """
        self._check_open_getconn()
        end = time.monotonic() + timeout
        late = PoolTimeout(f"pool initialization incomplete after {timeout} sec")
        try:
            if not self._state.wait(self._state.obtaining(timeout)):
                raise late
            super().wait(max(0.0, end - time.monotonic()))
        except PoolTimeout:
            self.close()
            if self._opener.trouble:
                raise ConnectFailed(self._opener.trouble) from None
            raise late from None
        except CredentialsUnavailable:
            self.close()
            raise

    def getconn(self, timeout: float | None = None) -> LeasedConnection:
        """Lend a live connection of the current lease.

        Raises `CredentialsUnavailable` at once while there is no usable credential and Vault
        gives none, else `PoolTimeout` after `timeout` seconds.
        """
        timeout = self.timeout if timeout is None else timeout
        state, now = self._state, time.monotonic()
        end = now + timeout
        while True:
            if not (state.ready(now) or self._closed):
                state.admit()
                state.wait(state.settling(end - now))
                now = time.monotonic()
            try:
                connection = super().getconn(end - now)
            except PoolTimeout:
                raise (
                    state.problem()
                    or PoolTimeout(f"couldn't get a connection after {timeout:.2f} sec")
                ) from None
            if state.usable(connection.generation) and connection.alive():
                return connection
            # psycopg_pool's own `check` would do, but it sleeps a second after a failed one
            connection.pgconn.finish()
            self.putconn(connection)
            now = time.monotonic()

    def putconn(self, conn: LeasedConnection) -> None:
        """Take a connection back, as psycopg_pool does."""
        if conn.ended_by == ADMIN_SHUTDOWN:
            self._state.doubt(conn.generation)
        super().putconn(conn)

    def close(self, timeout: float = 5.0) -> None:
        """Close connections, then revoke the leases and the login.

        Takes up to `timeout` seconds for each of the two; without Vault the leases are left to
        end by themselves. A second call does nothing.
        """
        if self._closed:
            return
        self._opener.keeper.stop()
        super().close(timeout)
        self._opener.keeper.close(timeout)

    def lease(self) -> dict[str, Any]:
        """Return lease age and remaining seconds, generation, counts and breaker state."""
        return self._state.report()

    # What the lease thread calls --------------------------------------------------------------

    def _fail_waiting(self, problem: CredentialsUnavailable) -> None:
        """Turn away those who wait for a connection that will not come."""
        with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
        for client in waiting:
            client.fail(type(problem)(str(problem)))
