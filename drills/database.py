"""The harness's read-only view of Postgres: roles and sessions, as the server has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from infra.platform import Platform

#: How Vault names dynamic roles by default: v-<display name>-<role, 8 characters>-<random>-<time>
#: (vault: plugins/database/postgresql, defaultUserNameTemplate).
_DYNAMIC = r"^v-.*-[A-Za-z0-9]{20}-[0-9]{10}$"


@dataclass(frozen=True)
class DynamicRole:
    """A role in pg_roles that Vault made."""

    name: str
    oid: int


def _of_role(vault_role: str) -> str:
    return f"^v-.*-{vault_role[:8]}-[A-Za-z0-9]{{20}}-[0-9]{{10}}$"


class Database:
    """One connection of the observer's, made anew when it breaks. One thread at a time."""

    def __init__(self, platform: Platform, *, name: str = "rotation-drills observer") -> None:
        """`name`: what the session calls itself (application_name)."""
        self._name = name
        self._postgres = platform.postgres
        self._ca_file = platform.drills.state_dir / "ca.pem"  # libpq takes a file only
        self._ca_file.parent.mkdir(parents=True, exist_ok=True)
        if not self._ca_file.exists() or self._ca_file.read_text() != platform.postgres.ca_pem:
            self._ca_file.write_text(platform.postgres.ca_pem)
        self._connection: psycopg.Connection[Any] | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _options(self) -> dict[str, Any]:
        return {
            "host": self._postgres.host,
            "port": self._postgres.port,
            "dbname": self._postgres.database,
            "sslmode": "verify-full",
            "sslrootcert": str(self._ca_file),
            "connect_timeout": 3,
        }

    def _query(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        for last_try in (False, True):
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self.connect(name=self._name)
                return self._connection.execute(sql.encode(), arguments).fetchall()
            except psycopg.OperationalError:
                self._connection = None
                if last_try:
                    raise
        raise AssertionError("unreachable")

    def connect(
        self,
        *,
        user: str | None = None,
        password: str | None = None,
        name: str = "rotation-drills observer",
        **where: Any,
    ) -> psycopg.Connection[Any]:
        """Return a session of its own, the observer's unless told; the caller closes it.

        `where`: `host` and `port` of another way to the server. Raises psycopg's
        `OperationalError`.
        """
        return psycopg.connect(
            **{**self._options(), **where},
            user=user or self._postgres.observer_username,
            password=password or self._postgres.observer_password.get_secret_value(),
            application_name=name,
            autocommit=True,
        )

    def sessions_writing(self) -> int:
        """Return how many sessions of dynamic roles have written and not committed yet."""
        sql = (
            "SELECT count(*) FROM pg_stat_activity WHERE usename ~ %s"
            " AND state = 'idle in transaction' AND query ~* '^\\s*(insert|update|delete)'"
        )
        return int(self._query(sql, _DYNAMIC)[0][0])

    def sessions_named(self, name: str) -> int:
        """Return how many sessions call themselves `name` (their application_name)."""
        sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        return int(self._query(sql, name)[0][0])

    def lock_is_held(self, key: int) -> bool:
        """Return whether any session holds the advisory lock `key` (32 bits) in this database."""
        sql = (
            "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()"
            " AND l.classid = 0 AND l.objid = %s::bigint::oid)"
        )
        return bool(self._query(sql, key)[0][0])

    def dynamic_roles(self, vault_role: str | None = None) -> list[DynamicRole]:
        """Return the roles that Vault made, of one of its roles or of all."""
        pattern = _of_role(vault_role) if vault_role else _DYNAMIC
        rows = self._query("SELECT rolname, oid FROM pg_roles WHERE rolname ~ %s", pattern)
        return [DynamicRole(name, int(oid)) for name, oid in rows]

    def sessions(self) -> tuple[int, int]:
        """Return how many sessions dynamic roles have, and how many belong to no role at all."""
        ((of_roles, orphans),) = self._query(
            "SELECT count(*) FILTER (WHERE r.rolname ~ %s),"
            " count(*) FILTER (WHERE r.oid IS NULL)"
            " FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid"
            " WHERE a.backend_type = 'client backend' AND a.usesysid IS NOT NULL",
            _DYNAMIC,
        )
        return int(of_roles), int(orphans)

    def roles_left(self, oids: list[int]) -> int:
        """Return how many of these roles still exist."""
        return int(self._query("SELECT count(*) FROM pg_roles WHERE oid = ANY(%s)", oids)[0][0])

    def dynamic_role_ends(self) -> list[tuple[str, float | None]]:
        """Return name and VALID UNTIL (Unix seconds, None: never) of the roles that Vault made."""
        sql = (
            "SELECT rolname, CASE WHEN isfinite(rolvaliduntil)"
            " THEN extract(epoch FROM rolvaliduntil)::float8 END FROM pg_roles WHERE rolname ~ %s"
        )
        return [(str(name), until) for name, until in self._query(sql, _DYNAMIC)]

    def too_old(self, vault_role: str) -> int:
        """Return how many roles of this kind Postgres refuses because VALID UNTIL has passed."""
        sql = "SELECT count(*) FROM pg_roles WHERE rolname ~ %s AND rolvaliduntil < now()"
        return int(self._query(sql, _of_role(vault_role))[0][0])

    def sessions_left(self, oids: list[int]) -> int:
        """Return how many sessions these roles still have, whether they exist or not."""
        sql = "SELECT count(*) FROM pg_stat_activity WHERE usesysid = ANY(%s)"
        return int(self._query(sql, oids)[0][0])

    def server_version(self) -> str:
        """Return the server's version, such as 18.4."""
        return str(self._query("SHOW server_version")[0][0]).split()[0]

    def login(self, username: str, password: str) -> str:
        """Try to log in: `accepted`, `refused` (28P01, 28000: by the server) or `unreachable`."""
        try:
            psycopg.connect(**self._options(), user=username, password=password).close()
        except psycopg.OperationalError as error:
            words = str(error)
            refused = "authentication failed" in words or "not permitted to log in" in words
            return "refused" if refused or "does not exist" in words else "unreachable"
        return "accepted"
