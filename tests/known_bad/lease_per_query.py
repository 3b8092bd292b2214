"""Defect: a new lease for each query, which is given back at once. `issues_per_client` ought to
catch it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from drills.prove.defects import Defect
from loadtests.pools.postgres import connect_arguments
from loadtests.target import Target
from tests.known_bad.control import ControlPool


class LeasePerQuery(ControlPool):
    """Logs in to Postgres anew, as somebody else, for every block."""

    def __init__(self, target: Target, *, name: str, **more: Any) -> None:
        super().__init__(target, name=name, **{**more, "min_size": 1})
        self._arguments = connect_arguments(target.postgres, application_name=name)

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[Any]:
        """Issue, connect, lend, close, revoke."""
        issued = self.take()
        try:
            login = {"user": issued.username, "password": issued.password}
            with psycopg.connect(**self._arguments, **login) as connection:
                yield connection
        finally:
            with self._busy:
                self.give_back(issued)


DEFECT = Defect(
    pool=f"{__name__}:LeasePerQuery", caught_by={"forced-expiry": ("issues_per_client",)}
)
