"""Fault `vault-latency`: every answer of Vault comes late."""

from __future__ import annotations

from pydantic import Field

from drills.faults.lines import PATIENCE, Line
from drills.faults.toxic import NodesFault, NodesParams


class VaultLatencyParams(NodesParams):
    """`latency_ms`: how late; `jitter_ms`: give or take."""

    latency_ms: int = Field(ge=10, le=1000 * int(PATIENCE) - 100)
    jitter_ms: int = Field(default=0, ge=0, le=400)


class VaultLatency(NodesFault[VaultLatencyParams]):
    """Delays what Vault says to its clients, on open connections too."""

    name = "vault-latency"
    params_model = VaultLatencyParams
    kind = "latency"

    def attributes(self) -> dict[str, int]:
        """Latency and jitter, in milliseconds."""
        return {"latency": self.params.latency_ms, "jitter": self.params.jitter_ms}

    def hit(self, line: Line) -> str | None:
        """A line that is hit answers late."""
        least = (self.params.latency_ms - self.params.jitter_ms) / 1000
        try:
            seconds = line.ask()
        except OSError as error:
            return f"ended ({error})"
        return None if seconds >= least else f"answered in {seconds:.3f} s"
