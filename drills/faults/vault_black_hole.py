"""Fault `vault-black-hole`: connections to Vault hang. Nothing is refused, nothing is answered."""

from __future__ import annotations

from drills.faults.base import Scene
from drills.faults.lines import Line
from drills.faults.toxic import BOTH_WAYS, NodesParams, ToxicFault, chosen_nodes


class VaultBlackHole(ToxicFault[NodesParams]):
    """Data between clients and Vault is dropped both ways; connections stay open, also those that
    were open before. What a firewall that forgets, or a node that is paused, looks like."""

    name = "vault-black-hole"
    params_model = NodesParams
    kind = "timeout"
    streams = BOTH_WAYS

    def proxies(self, scene: Scene) -> list[str]:
        """Return the proxies of the chosen nodes."""
        return chosen_nodes(scene, self.params.nodes, self.name)

    def attributes(self) -> dict[str, int]:
        """Never close."""
        return {"timeout": 0}

    def hit(self, line: Line) -> str | None:
        """A line that is hit hangs."""
        try:
            seconds = line.ask()
        except TimeoutError:
            return None
        except ConnectionError as error:
            return f"ended ({error})"
        return f"answered in {seconds:.3f} s"
