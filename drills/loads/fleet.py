"""`{fleet: 200, policy: lease-aware}`: lease clients without SQL, what a storm is made of."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from drills.loads.base import Load
from drills.parts import Positive, Seconds

Policy = Literal["lease-aware", "lifetime-watcher", "consul-template", "spring", "vso"]


class FleetLoad(Load):
    """`fleet` clients, each with a login and a lease, that renew under `policy`.

    They start one after the other within `ramp`, as deployments over the years would have left
    them; `idle` ones wait until the fault `fleet-restart` starts them all in one instant. `ttl` and
    `max_ttl` hold for the role while the drill runs.
    """

    key: ClassVar[str] = "fleet"

    fleet: Positive
    policy: Policy = "lease-aware"
    ttl: Seconds | None = None
    max_ttl: Seconds | None = None
    ramp: Seconds = 1.0
    idle: bool = False

    @model_validator(mode="after")
    def _whole(self) -> FleetLoad:
        if (self.ttl is None) != (self.max_ttl is None):
            raise ValueError("ttl and max_ttl are given together")
        if self.ttl is not None and self.max_ttl is not None:
            if self.ttl > self.max_ttl:
                raise ValueError("ttl is longer than max_ttl")
            if self.ttl % 1 or self.max_ttl % 1:
                raise ValueError("ttl and max_ttl are whole seconds, as Vault's are")
        return self

    def client(self, pool: str) -> str:
        """A fleet has no pool; its policy is what is judged."""
        return f"none (fleet, policy {self.policy})"

    def words(self, pool: str) -> str:
        """Return the load in a few words."""
        return f"a fleet of {self.fleet} clients, policy {self.policy}"
