"""`{service: orders, users: 40, pools: 4}`: the demo service with a pool of choice, and locust."""

from __future__ import annotations

from typing import ClassVar

from drills.loads.terms import TermsLoad
from drills.parts import Line, Positive


class ServiceLoad(TermsLoad):
    """Who asks whom: `users` send requests to `pools` instances of the service's pool."""

    key: ClassVar[str] = "service"

    service: Line
    users: Positive
    pools: Positive
    pool_size: Positive = 20

    def words(self, pool: str) -> str:
        """Return the load in a few words."""
        return f"{self.users} users on {self.pools} {pool} pools of {self.pool_size}"
