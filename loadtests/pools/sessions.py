"""`LeasedSession`: a connection that knows its generation, and notices its own end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.pq.abc import PGconn
from psycopg.rows import TupleRow

ADMIN_SHUTDOWN = "57P01"


class _End:
    """What the server said last. Apart from the connection, so that its notice handler makes no
    reference loop, which would keep dead sockets open until the garbage collector comes by."""

    def __init__(self) -> None:
        self.sqlstate: str | None = None

    def note(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        sqlstate = diagnostic.sqlstate or "FATAL"
        # a crash of another session ends this one with a WARNING (57P02)
        if diagnostic.severity_nonlocalized in {"FATAL", "PANIC"} or sqlstate.startswith("57P0"):
            self.sqlstate = sqlstate


class LeasedSession:
    """What the connections below have in common."""

    generation: int = 0
    lent: bool = False
    """In use, for a pool whose library does not know: `use_lease` keeps it."""
    fresh: bool = False
    """Opened, and never lent yet; kept likewise."""
    pgconn: PGconn
    _end: _End

    @property
    def closed(self) -> bool:
        """psycopg's own."""
        raise NotImplementedError

    @property
    def ended_by(self) -> str | None:
        """The SQLSTATE with which the server ended this session, as far as it was seen here."""
        return self._end.sqlstate

    def note(self, error: BaseException | None) -> None:
        """Keep in mind whether an administrator ended the session, as `error` may tell."""
        if isinstance(error, psycopg.errors.AdminShutdown):
            self._end.sqlstate = ADMIN_SHUTDOWN

    def alive(self) -> bool:
        """Say whether the server still holds this session, as far as its socket tells.

        Costs one read of a non-blocking socket (1 to 2 µs), no round trip: it gets the server's
        last words, or the end of the stream.
        """
        pgconn = self.pgconn
        try:
            pgconn.consume_input()
            pgconn.is_busy()  # makes libpq read what came, and call the notice handler
        except psycopg.OperationalError:
            return False
        return self._end.sqlstate is None


class LeasedConnection(LeasedSession, psycopg.Connection[TupleRow]):
    """A connection opened by a lease-aware pool."""

    closed = psycopg.Connection.closed

    @classmethod
    def connect(  # type: ignore[override]  # psycopg's overload set can't be matched
        cls,
        conninfo: str = "",
        *,
        opener: Callable[[type[Self], str], Self] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Open a connection; psycopg_pool calls it with the pool's `opener`, which calls back
        without one, with a credential."""
        if opener is not None:
            return opener(cls, conninfo)
        connection: Self = super().connect(conninfo, **kwargs)
        connection._end = _End()
        connection.add_notice_handler(connection._end.note)
        return connection

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Commit or roll back, and keep in mind whether an administrator ended the session."""
        if exc_val is not None:
            self.note(exc_val)
        super().__exit__(exc_type, exc_val, exc_tb)


class AsyncLeasedConnection(LeasedSession, psycopg.AsyncConnection[TupleRow]):
    """A connection opened by an asynchronous lease-aware pool."""

    closed = psycopg.AsyncConnection.closed

    @classmethod
    async def connect(  # type: ignore[override]
        cls,
        conninfo: str = "",
        *,
        opener: Callable[[type[Self], str], Awaitable[Self]] | None = None,
        **kwargs: Any,
    ) -> Self:
        """As `LeasedConnection.connect`."""
        if opener is not None:
            return await opener(cls, conninfo)
        connection: Self = await super().connect(conninfo, **kwargs)
        connection._end = _End()
        connection.add_notice_handler(connection._end.note)
        return connection

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Commit or roll back, and keep in mind whether an administrator ended the session."""
        if exc_val is not None:
            self.note(exc_val)
        await super().__aexit__(exc_type, exc_val, exc_tb)
