"""`LeaseAwarePool`: psycopg_pool's `ConnectionPool` on a dynamic role of Vault.

An application swaps it in by one line: same `connection`, `getconn`, `putconn`, `wait`, `close`,
timeouts and statistics.
"""

from __future__ import annotations

import time
from random import SystemRandom
from typing import Any
from weakref import WeakSet

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from loadtests.pools import renewal
from loadtests.pools.credentials import LeasedCredentials
from loadtests.pools.errors import ConnectFailed, CredentialsUnavailable
from loadtests.pools.generation import Generation, Refused
from loadtests.pools.postgres import connect_arguments, credential_refused, too_many_connections
from loadtests.pools.sessions import ADMIN_SHUTDOWN, LeasedConnection
from loadtests.secrets import redact
from loadtests.target import Target
from loadtests.vault import VaultClient

_VERIFY_SECONDS = 3.0


class LeaseAwarePool(ConnectionPool[LeasedConnection]):
    """A pool whose connections live and die with a lease.

    No connection is lent past its lease's deadline. When the role is revoked, sessions are ended
    or Postgres refuses the login, one new lease is taken, whoever notices, and requests wait for
    it up to their timeout. A statement is never sent twice: one that was running on a session
    when it was killed fails.

    Connecting never gives up: psycopg_pool's `reconnect_timeout` has no effect. A connection that
    was found dead at checkout and replaced counts in `requests_num` once more.
    """

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
            kwargs=self._how_to_connect,
            min_size=min_size,
            max_size=max_size,
            open=False,
            name=name,
            timeout=timeout,
            **pool_arguments,
        )
        self._arguments = {
            **connect_arguments(target.postgres, application_name=self.name),
            **(kwargs or {}),
        }
        self._random = SystemRandom()
        self._sessions: WeakSet[LeasedConnection] = WeakSet()
        self._connect_trouble: str | None = None
        self._credentials = LeasedCredentials(
            vault or VaultClient(target),
            name=self.name,
            verify=self._verify,
            adopted=self._adopted,
            gave_up=self._fail_waiting,
            sessions=self._open_sessions,
            outage_grace=outage_grace,
            max_ttl=max_ttl,
        )
        if open:
            self.open()

    # What an application calls ----------------------------------------------------------------

    def open(self, wait: bool = False, timeout: float = 30.0) -> None:
        """Start: log in, take a lease and connect, in the background; see `wait`."""
        with self._lock:
            if self._closed:
                self._check_open()
                self._credentials.start()
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
            if not self._credentials.wait_first(timeout):
                raise late
            super().wait(max(0.0, end - time.monotonic()))
        except PoolTimeout:
            self.close()
            if self._connect_trouble:
                raise ConnectFailed(self._connect_trouble) from None
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
        end = time.monotonic() + timeout
        while True:
            if not (self._credentials.ready() or self._closed):
                self._credentials.admit()
                self._credentials.settle(end - time.monotonic())
            try:
                connection = super().getconn(end - time.monotonic())
            except PoolTimeout:
                problem = self._credentials.problem()
                raise (
                    problem or PoolTimeout(f"couldn't get a connection after {timeout:.2f} sec")
                ) from None
            if self._may_lend(connection):
                return connection
            # psycopg_pool's own `check` would do, but it sleeps a second after a failed one
            connection.pgconn.finish()
            self.putconn(connection)

    def putconn(self, conn: LeasedConnection) -> None:
        """Take a connection back, as psycopg_pool does."""
        if conn.ended_by == ADMIN_SHUTDOWN:
            self._credentials.doubt(conn.generation)
        super().putconn(conn)

    def close(self, timeout: float = 5.0) -> None:
        """Close connections, then revoke the leases and the login.

        Takes up to `timeout` seconds for each of the two; without Vault the leases are left to
        end by themselves. A second call does nothing.
        """
        if self._closed:
            return
        self._credentials.stop()
        super().close(timeout)
        self._credentials.close(timeout)

    def lease(self) -> dict[str, Any]:
        """Return lease age and remaining seconds, generation, counts and breaker state."""
        return self._credentials.report()

    # What psycopg_pool's workers and the lease thread call ------------------------------------

    def _how_to_connect(self) -> dict[str, Any]:
        return {"opener": self._open_session}

    def _open_session(self, cls: type[LeasedConnection], conninfo: str) -> LeasedConnection:
        """Connect with the current generation, however long it takes to have one."""
        attempt = 0
        while (generation := self._credentials.take()) is not None:
            try:
                connection = self._connect_as(cls, conninfo, generation)
            except Refused:
                # one refresh, then another try; whoever sees it first starts the refresh
                self._credentials.refused(generation.number)
                continue
            except ConnectFailed as error:
                attempt += 1
                self._connect_trouble = str(error)
                self._credentials.wait_closing(renewal.backoff(attempt, self._random))
                continue
            if self._credentials.usable(generation.number):
                self._sessions.add(connection)
                self._connect_trouble = None
                return connection
            connection.close()
        raise PoolClosed(f"the pool {self.name!r} is closed")

    def _connect_as(
        self, cls: type[LeasedConnection], conninfo: str, generation: Generation
    ) -> LeasedConnection:
        """Connect once. Raises `Refused`, or `ConnectFailed` for every other reason.

        psycopg's own error is dropped: its `pgconn` shows the password in its repr.
        """
        issued = generation.issued
        try:
            connection = cls.connect(
                conninfo, **self._arguments, user=issued.username, password=issued.password
            )
        except psycopg.OperationalError as error:
            reason = redact(str(error))
            refused = credential_refused(error) and not too_many_connections(error)
        else:
            connection.generation = generation.number
            return connection
        raise (
            Refused(f"postgres refused a credential: {reason}")
            if refused
            else ConnectFailed(reason)
        )

    def _verify(self, generation: Generation) -> None:
        """Open and close a connection with a new generation, before it is adopted.

        Raises `Refused`. Where Postgres can't be reached for 3 s, says nothing: the credential
        is not at fault.
        """
        end, attempt = time.monotonic() + _VERIFY_SECONDS, 0
        while time.monotonic() < end:
            try:
                connection = self._connect_as(LeasedConnection, "", generation)
            except ConnectFailed as error:
                attempt += 1
                self._connect_trouble = str(error)
                if self._credentials.wait_closing(renewal.backoff(attempt, self._random)):
                    return
            else:
                connection.close()
                return

    def _adopted(self, _generation: Generation) -> None:
        self.drain()

    def _may_lend(self, connection: LeasedConnection) -> bool:
        return self._credentials.usable(connection.generation) and connection.alive()

    def _open_sessions(self, generation: int) -> int:
        return sum(
            1
            for session in list(self._sessions)
            if session.generation == generation and not session.closed
        )

    def _fail_waiting(self, problem: CredentialsUnavailable) -> None:
        """Turn away those who wait for a connection that will not come."""
        with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
        for client in waiting:
            client.fail(type(problem)(str(problem)))
