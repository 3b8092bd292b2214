"""Fault `slow-ddl`: making, renewing and dropping roles takes long."""

from __future__ import annotations

from pydantic import Field

from drills.faults.base import FaultParams, Scene
from drills.faults.lines import Line
from drills.faults.toxic import ToxicFault

PROXY = "vault-to-postgres"


class SlowDdlParams(FaultParams):
    """`latency_ms`: how late each answer of Postgres reaches Vault."""

    latency_ms: int = Field(ge=10, le=5000)


class SlowDdl(ToxicFault[SlowDdlParams]):
    """Delays what Postgres says to Vault; clients' own connections are not touched.

    An event trigger that sleeps would be nearer to the word, but Postgres fires none for roles
    (they belong to no database), so each of Vault's round trips is slowed instead; one creation
    makes several.
    """

    name = "slow-ddl"
    params_model = SlowDdlParams
    kind = "latency"

    def proxies(self, scene: Scene) -> list[str]:
        """Return the one between Vault and Postgres."""
        return [PROXY]

    def attributes(self) -> dict[str, int]:
        """Latency in milliseconds."""
        return {"latency": self.params.latency_ms, "jitter": 0}

    def hit(self, line: Line) -> str | None:
        """A line that is hit answers late."""
        try:
            seconds = line.ask()
        except OSError as error:
            return f"ended ({error})"
        late = seconds >= self.params.latency_ms / 1000
        return None if late else f"answered in {seconds:.3f} s"
