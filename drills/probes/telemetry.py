"""Probe `telemetry`: the active node's own count of leases (sys/metrics; it is node-local)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from drills.errors import VaultRefused, VaultUnreachable
from drills.probes.base import Probe
from drills.vault import Vault

_GAUGES = {
    "vault.expire.num_leases": "leases",
    "vault.expire.num_irrevocable_leases": "irrevocable_leases",
}


class Telemetry(Probe):
    """Fields: node (the active one), leases, irrevocable_leases (None when it does not say)."""

    name: ClassVar[str] = "telemetry"
    every: ClassVar[float] = 1.0

    def __init__(
        self, vault: Vault, observe: Callable[..., Any], failed: Callable[[str, str], Any]
    ) -> None:
        super().__init__(observe, failed)
        self._vault = vault

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
