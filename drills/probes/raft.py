"""Probe `raft`: how many voters the cluster has, how many of them healthy, and who leads."""

from __future__ import annotations

from typing import ClassVar

from drills.errors import VaultRefused, VaultUnreachable
from drills.probes.base import VaultProbe


class Raft(VaultProbe):
    """Fields: voters, healthy_voters, leader (a node's name, or None)."""

    name: ClassVar[str] = "raft"
    every: ClassVar[float] = 1.0

    def look(self) -> None:
        """Ask autopilot; a cluster without a leader has no healthy voter."""
        try:
            path = "sys/storage/raft/autopilot/state"
            state = self._vault.call("GET", path, seconds=0, timeout=2)["data"]
        except (VaultRefused, VaultUnreachable):
            self.observe(self.name, voters=0, healthy_voters=0, leader=None)
            return
        servers = state.get("servers") or {}
        voting = {
            name: server
            for name, server in servers.items()
            if server.get("status") in {"leader", "voter"}
        }
        self.observe(
            self.name,
            voters=len(voting),
            healthy_voters=sum(bool(server.get("healthy")) for server in voting.values()),
            leader=state.get("leader") or None,
        )
