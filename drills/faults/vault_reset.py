"""Fault `vault-reset`: connections to Vault end at the first byte."""

from __future__ import annotations

from drills.faults.base import Scene
from drills.faults.lines import Line
from drills.faults.toxic import BOTH_WAYS, NodesParams, ToxicFault, chosen_nodes


class VaultReset(ToxicFault[NodesParams]):
    """Whatever is sent to Vault, or by it, ends the connection, also one that was open before.
    What a load balancer that restarts looks like."""

    name = "vault-reset"
    params_model = NodesParams
    kind = "reset_peer"
    streams = BOTH_WAYS

    def proxies(self, scene: Scene) -> list[str]:
        """Return the proxies of the chosen nodes."""
        return chosen_nodes(scene, self.params.nodes, self.name)

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
