"""The `sqlalchemy` pool: an engine as SQLAlchemy's documentation says to make one where
credentials change: a `do_connect` listener that fills them in, and `pool_pre_ping`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from sqlalchemy import QueuePool, create_engine, event
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.exc import TimeoutError as QueueTimeout

from loadtests.pools.errors import ConnectFailed
from loadtests.pools.postgres import connect_arguments, credential_refused
from loadtests.pools.shared_lease import SharedLease, VaultSession
from loadtests.secrets import redact
from loadtests.target import Target


class EnginePool:
    """An engine of SQLAlchemy with the methods that the load needs.

    Statements run on the driver's connection, as with the other pools: what is compared is the
    pool, not the expression language.
    """

    def __init__(
        self,
        target: Target,
        *,
        name: str,
        min_size: int,
        max_size: int,
        timeout: float,
        **engine_arguments: Any,
    ) -> None:
        """Make the engine; `open` connects."""
        self.name = name
        self._warm = min_size
        self._pool_size, self._waits = max_size, 0
        self._engine = create_engine(
            URL.create("postgresql+psycopg"),
            connect_args=connect_arguments(target.postgres, application_name=name),
            poolclass=QueuePool,
            pool_size=max_size,
            max_overflow=0,
            pool_timeout=timeout,
            **engine_arguments,
        )

    def open(self, wait: bool = False, timeout: float = 30.0) -> None:
        """Connect `min_size` times where `wait` is set; else the first requests do.

        Raises `ConnectFailed`; the pool is closed then. `timeout` is psycopg_pool's: here each
        connect has libpq's own.
        """
        if not wait:
            return
        try:
            with ExitStack() as held:
                for _ in range(self._warm):
                    held.callback(self._engine.raw_connection().close)
        except psycopg.OperationalError as error:
            reason = redact(str(error))
        else:
            return
        self.close()
        # psycopg's own error is dropped: its `pgconn` shows the password in its repr
        raise ConnectFailed(reason)

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[psycopg.Connection[Any]]:
        """Lend a connection for a block; commit at its end, roll back when it raises.

        Raises SQLAlchemy's `TimeoutError`. `timeout` is not used: SQLAlchemy has one an engine.
        """
        try:
            lent = self._engine.raw_connection()
        except QueueTimeout:
            self._waits += 1
            raise
        connection: Any = lent.driver_connection
        try:
            yield connection
            connection.commit()
        except BaseException as error:
            if connection.closed:  # what SQLAlchemy's own `is_disconnect` asks for this driver
                lent.invalidate(error)
            raise
        finally:
            lent.close()  # rolls back what was not committed

    def get_stats(self) -> dict[str, int]:
        """Return the figures that SQLAlchemy has, under psycopg_pool's names."""
        pool = self._engine.pool
        assert isinstance(pool, QueuePool)  # noqa: S101 - made so above
        idle, lent = pool.checkedin(), pool.checkedout()
        return {
            "pool_max": self._pool_size,
            "pool_size": idle + lent,
            "pool_available": idle,
            "requests_errors": self._waits,
        }

    def close(self) -> None:
        """Close the idle connections."""
        self._engine.dispose()


class SqlalchemyPool(EnginePool):
    """SQLAlchemy's `QueuePool` with one lease for all its connections.

    A login that Postgres refuses costs one new lease and one retry of the connect. Nothing is
    renewed, so Vault ends every session after the role's ttl, in the middle of a statement or not.
    """

    def __init__(
        self, target: Target, *, name: str, min_size: int, max_size: int, timeout: float
    ) -> None:
        """Take a credential; raises what `loadtests.vault` raises. `open` connects."""
        self._vault = VaultSession(target)
        self._lease = SharedLease(self._vault)
        super().__init__(
            target,
            name=name,
            min_size=min_size,
            max_size=max_size,
            timeout=timeout,
            pool_pre_ping=True,
        )
        event.listen(self._engine, "do_connect", self._connect)

    def _connect(
        self, dialect: Dialect, _record: Any, arguments: Any, keywords: dict[str, Any]
    ) -> Any:
        issued = self._lease.get()
        keywords |= {"user": issued.username, "password": issued.password}
        try:
            return dialect.connect(*arguments, **keywords)
        except psycopg.OperationalError as error:
            if not credential_refused(error):
                raise
        self._lease.refused(issued)
        issued = self._lease.get()
        keywords |= {"user": issued.username, "password": issued.password}
        return dialect.connect(*arguments, **keywords)

    def lease(self) -> dict[str, Any]:
        """Return the role in use, and how many leases were taken."""
        return {"username": self._lease.username, "issues": self._vault.issues}

    def close(self) -> None:
        """Close the idle connections, then end the login, and with it the lease."""
        super().close()
        self._vault.close()
