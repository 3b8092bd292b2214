"""Fault `node-pause`: a Vault node freezes: connections stay open, nothing answers."""

from __future__ import annotations

from typing import cast

from drills.faults.base import Record, Scene
from drills.faults.node_kill import NodeKill, restart_unless_whole
from infra.cluster.driver import Pausing


class NodePause(NodeKill):
    """Stops one node in its tracks (a machine that swaps, a virtual one that is moved).

    What tells it from a kill: nobody is told. Clients and peers wait for their own time-outs, and
    the node that goes on may think for a moment that it still leads.
    """

    name = "node-pause"
    needs = frozenset({"pause"})

    def inject(self, scene: Scene, record: Record) -> None:
        """Freeze the node."""
        cast("Pausing", scene.cluster).pause(record["node"])

    def undo(self, scene: Scene, record: Record) -> None:
        """Let it go on; no error when it does A node that does not recover is restarted."""
        cast("Pausing", scene.cluster).resume(record["node"])
        restart_unless_whole(scene, record["node"])

    def by_hand(self, record: Record) -> str:
        """Name what lets it go on."""
        return (
            f"node-pause: send SIGCONT to the server of {record['node']}, or `docker unpause` its "
            "container"
        )
