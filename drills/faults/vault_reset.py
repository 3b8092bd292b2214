"""Fault `vault-reset`: connections to Vault end at the first byte."""

from __future__ import annotations

from drills.faults.lines import Line
from drills.faults.toxic import BOTH_WAYS, NodesFault, NodesParams


class VaultReset(NodesFault[NodesParams]):
    """Whatever is sent to Vault, or by it, ends the connection, also one that was open before.
    What a load balancer that restarts looks like."""

    name = "vault-reset"
    kind = "reset_peer"
    streams = BOTH_WAYS

    def attributes(self) -> dict[str, int]:
        """At once."""
        return {"timeout": 0}

    def hit(self, line: Line) -> str | None:
        """A line that is hit ends."""
        try:
            seconds = line.ask()
        except TimeoutError:
            return "hung"
        except ConnectionError:
            return None
        return f"answered in {seconds:.3f} s"
