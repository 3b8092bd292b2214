"""Fault `node-disconnect`: a Vault node is off the network: from peers, database and clients."""

from __future__ import annotations

from typing import cast

from drills.faults.base import Record, Scene
from drills.faults.node_kill import NodeKill, restart_unless_whole
from infra.cluster.driver import Disconnecting


class NodeDisconnect(NodeKill):
    """Takes one node off the stack's network (driver docker); undo puts it back.

    The node itself stays up: a leader must step down by itself once it hears no majority.
    """

    name = "node-disconnect"
    needs = frozenset({"disconnect"})

    def inject(self, scene: Scene, record: Record) -> None:
        """Take it off."""
        cast("Disconnecting", scene.cluster).disconnect(record["node"])

    def undo(self, scene: Scene, record: Record) -> None:
        """Put it back; no error when it is there A node that does not recover is restarted."""
        cast("Disconnecting", scene.cluster).reconnect(record["node"])
        restart_unless_whole(scene, record["node"])

    def by_hand(self, record: Record) -> str:
        """Name what puts it back."""
        return (
            f"node-disconnect: `docker network connect --alias {record['node']}` with the stack's "
            "network (…-net) and the node's container"
        )
