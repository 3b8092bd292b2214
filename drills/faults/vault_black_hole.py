"""Fault `vault-black-hole`: connections to Vault hang. Nothing is refused, nothing is answered."""

from __future__ import annotations

from drills.faults.lines import Line
from drills.faults.toxic import BOTH_WAYS, NodesFault, NodesParams


class VaultBlackHole(NodesFault[NodesParams]):
    """Data between clients and Vault is dropped both ways; connections stay open, also those that
    were open before. What a firewall that forgets, or a node that is paused, looks like."""

    name = "vault-black-hole"
    kind = "timeout"
    streams = BOTH_WAYS

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
