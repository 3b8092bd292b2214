"""Defect: when the answer to a commit does not come, it carries the block out once more on another
connection. `duplicate_effects` ought to catch it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from drills.prove.defects import Defect
from tests.known_bad.control import ControlPool


class _Recorded:
    """A connection that remembers what it was told."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.told: list[tuple[Any, ...]] = []

    def execute(self, *statement: Any) -> Any:
        self.told.append(statement)
        return self._connection.execute(*statement)


class ReplaysCommit(ControlPool):
    """Takes a lost answer for a commit that did not happen."""

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[Any]:
        """Lend, and at the end commit, until it says that it has."""
        recorded, lent = None, False
        try:
            with super().connection(timeout) as connection:
                recorded = _Recorded(connection)
                yield recorded
                lent = True
        except psycopg.OperationalError:
            if not lent or recorded is None:
                raise
            with super().connection(timeout) as connection:
                for statement in recorded.told:
                    connection.execute(*statement)


DEFECT = Defect(pool=f"{__name__}:ReplaysCommit", caught_by={"reply-lost": ("duplicate_effects",)})
