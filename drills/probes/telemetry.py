"""Probe `telemetry`: the active node's own count of leases (sys/metrics; it is node-local)."""

from __future__ import annotations

from typing import ClassVar

from drills.errors import VaultRefused, VaultUnreachable
from drills.probes.base import VaultProbe

_GAUGES = {
    "vault.expire.num_leases": "leases",
    "vault.expire.num_irrevocable_leases": "irrevocable_leases",
}


class Telemetry(VaultProbe):
    """Fields: node (the active one), leases, irrevocable_leases (None when it does not say)."""

    name: ClassVar[str] = "telemetry"
    every: ClassVar[float] = 1.0

    def look(self) -> None:
        """Read the gauges of the node that leads now."""
        found: dict[str, int | None] = dict.fromkeys(_GAUGES.values())
        node = self._vault.active_node()
        if node is not None:
            try:
                told = self._vault.call("GET", "sys/metrics", seconds=0, timeout=2, node=node)
            except (VaultRefused, VaultUnreachable):
                told = {}
            for gauge in told.get("Gauges") or []:
                field = _GAUGES.get(gauge["Name"])
                if field:
                    found[field] = int(gauge["Value"])
        self.observe(self.name, node=node, **found)
