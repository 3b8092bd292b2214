"""Probe `postgres_sessions`: sessions of dynamic roles, and sessions whose role is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from drills.database import Database
from drills.probes.base import Probe
from infra.platform import Platform


class PostgresSessions(Probe):
    """Fields: sessions, orphan_sessions."""

    name: ClassVar[str] = "postgres_sessions"
    every: ClassVar[float] = 0.5

    def __init__(
        self,
        platform: Platform,
        observe: Callable[..., Any],
        failed: Callable[[str, str], Any],
    ) -> None:
        super().__init__(observe, failed)
        self._database = Database(platform)

    def look(self) -> None:
        """Count both, in one query."""
        sessions, orphans = self._database.sessions()
        self.observe(self.name, sessions=sessions, orphan_sessions=orphans)

    def close(self) -> None:
        """Close the observer's connection."""
        self._database.close()
