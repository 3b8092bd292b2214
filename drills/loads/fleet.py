"""`{fleet: 200, policy: lease-aware}`: lease clients without SQL, what a storm is made of."""

from __future__ import annotations

from typing import ClassVar, Literal

from drills.loads.terms import TermsLoad
from drills.parts import Positive, Seconds

Policy = Literal["lease-aware", "lifetime-watcher", "consul-template", "spring", "vso"]


class FleetLoad(TermsLoad):
    """`fleet` clients, each with a login and a lease, that renew under `policy`.

    They start one after the other within `ramp`, as deployments over the years would have left
    them; `idle` ones wait until the fault `fleet-restart` starts them all in one instant.
    """

    key: ClassVar[str] = "fleet"

    fleet: Positive
    policy: Policy = "lease-aware"
    ramp: Seconds = 1.0
    idle: bool = False

    def client(self, pool: str) -> str:
        """A fleet has no pool; its policy is what is judged."""
        return f"none (fleet, policy {self.policy})"

    def words(self, pool: str) -> str:
        """Return the load in a few words."""
        return f"a fleet of {self.fleet} clients, policy {self.policy}"
