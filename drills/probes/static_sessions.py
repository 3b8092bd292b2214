"""Probe `static_sessions`: sessions of logins that Vault did not make and no lease ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, ClassVar

import psycopg

from drills.database import Database
from drills.probes.base import Probe
from infra.platform import Platform

#: Neither dynamic roles (named by Vault), nor the server's and Vault's own administrators, nor us.
_SQL = (
    "SELECT count(*) FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid"
    " WHERE a.backend_type = 'client backend' AND r.rolname !~ %s AND r.rolname <> %s"
    " AND NOT r.rolsuper AND NOT r.rolcreaterole AND a.application_name NOT LIKE %s"
)
#: As in drills/database.py.
_DYNAMIC = r"^v-.*-[A-Za-z0-9]{20}-[0-9]{10}$"


class StaticSessions(Probe):
    """Fields: sessions."""

    name: ClassVar[str] = "static_sessions"
    every: ClassVar[float] = 0.5

    def __init__(
        self,
        platform: Platform,
        observe: Callable[..., Any],
        failed: Callable[[str, str], Any],
    ) -> None:
        super().__init__(observe, failed)
        self._database = Database(platform)
        self._observer = platform.postgres.observer_username
        self._session: psycopg.Connection[Any] | None = None

    def look(self) -> None:
        """Count them; with a new session after Postgres was away."""
        if self._session is None:
            self._session = self._database.connect()
        try:
            arguments = (_DYNAMIC, self._observer, "rotation-drills %")
            row = self._session.execute(_SQL, arguments).fetchone()
        except psycopg.OperationalError:
            self.close()
            raise
        if row is not None:
            self.observe(self.name, sessions=int(row[0]))

    def close(self) -> None:
        """Close the observer's connection."""
        if self._session is not None:
            with contextlib.suppress(psycopg.Error):
                self._session.close()
            self._session = None
