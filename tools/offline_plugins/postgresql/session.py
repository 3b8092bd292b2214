"""Connections to one Postgres server, and its errors in one line without any statement."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from tools.offline_plugins.server import ResourceError

_PATIENCE_SECONDS = 10.0
_RETRY_SECONDS = 0.2
_NOT_YET = ("Connection refused", "starting up", "No such file or directory")
PUBLIC = "public"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The provider's settings. The password is kept out of every text."""

    host: str
    port: int
    user: str
    password: str = field(repr=False, default="")
    database: str = "postgres"
    sslmode: str = ""
    sslrootcert: str = ""
    sslcert: str = ""
    sslkey: str = ""
    connect_timeout: int = 180
    max_connections: int = 20
    superuser: bool = True

    def parameters(self, database: str) -> dict[str, Any]:
        """What libpq is given."""
        given = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "dbname": database,
            "sslmode": self.sslmode,
            "sslrootcert": self.sslrootcert,
            "sslcert": self.sslcert,
            "sslkey": self.sslkey,
            "connect_timeout": self.connect_timeout,
            "application_name": "pulumi-offline",
        }
        return {name: value for name, value in given.items() if value != ""}


class Server:
    """One Postgres server. Changes run one at a time: concurrent GRANTs trip over each other."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._slots = threading.BoundedSemaphore(max(1, settings.max_connections))
        self._changing = threading.RLock()

    @contextmanager
    def reading(self, what: str, database: str | None = None) -> Iterator[Session]:
        """A session in autocommit. Raises ResourceError, with `what` failed."""
        with self._slots, _translated(what):
            connection = self._connect(database or self.settings.database)
            try:
                yield Session(connection, self.settings)
            finally:
                connection.close()

    @contextmanager
    def changing(self, what: str, database: str | None = None) -> Iterator[Session]:
        """A session in one transaction, rolled back by any error."""
        with self._changing, self.reading(what, database) as session, session.transaction():
            yield session

    @contextmanager
    def alone(self, what: str) -> Iterator[Session]:
        """A session for statements that can't be in a transaction."""
        with self._changing, self.reading(what) as session:
            yield session

    def _connect(self, database: str) -> psycopg.Connection[Any]:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return psycopg.connect(autocommit=True, **self.settings.parameters(database))
            except psycopg.OperationalError as error:
                waiting = any(sign in str(error) for sign in _NOT_YET)
                if not waiting or time.monotonic() > deadline:
                    raise
            threading.Event().wait(_RETRY_SECONDS)


class Session:
    """Statements made of a template and identifiers, so that no name is ever pasted into SQL."""

    def __init__(self, connection: psycopg.Connection[Any], settings: Settings) -> None:
        self._connection = connection
        self.settings = settings

    @property
    def version(self) -> int:
        """The server's major version."""
        return self._connection.info.server_version // 10000

    def transaction(self) -> Any:
        """A transaction that an error rolls back."""
        return self._connection.transaction()

    def run(self, template: str, *names: str, **parts: sql.Composable) -> None:
        """Run a statement; each `{}` is a quoted identifier, each `{name}` a composed part."""
        query = sql.SQL(template)
        self._connection.execute(query.format(*(sql.Identifier(n) for n in names), **parts))

    def rows(self, query: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        """The rows of a query."""
        return self._connection.execute(query, parameters).fetchall()

    def row(self, query: str, *parameters: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        rows = self.rows(query, *parameters)
        return rows[0] if rows else None

    def verifier(self, password: str, role: str) -> str:
        """The password as the server would store it, so that it never gets into a server log."""
        if password.startswith(("md5", "SCRAM-SHA-256$")):
            return password
        connection = self._connection.pgconn
        return connection.encrypt_password(password.encode(), role.encode(), None).decode()

    @contextmanager
    def granted(self, *roles: str) -> Iterator[None]:
        """Be a member of these roles for a while: without superuser their objects are closed."""
        borrowed = []
        for role in dict.fromkeys(roles):
            row = self.row(
                "select rolsuper, rolname, exists (select from pg_roles where rolname = %s) "
                "from pg_roles where rolname = current_user",
                role,
            )
            if row is None or row[0] or row[1] == role or not row[2]:
                continue
            member = self.row("select pg_has_role(current_user, %s, 'USAGE')", role)
            if member is None or not member[0]:
                self.run("GRANT {} TO {}", role, row[1])
                borrowed.append((role, row[1]))
        yield
        for role, user in borrowed:
            if self.row("select from pg_roles where rolname = %s", role) is not None:
                self.run("REVOKE {} FROM {}", role, user)


def role_name(name: str) -> sql.Composable:
    """A role as GRANT wants it: `public` is a word of the language, not a name."""
    return sql.SQL("PUBLIC") if name.lower() == PUBLIC else sql.Identifier(name)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        said = error.diag.message_primary or str(error).strip().split("\n", maxsplit=1)[0]
        state = f"{error.sqlstate}: " if error.sqlstate else ""
        raise ResourceError(f"{what}: {state}{said}") from None
