"""Fault `quorum-loss`: so many nodes are killed that the rest can't elect a leader."""

from __future__ import annotations

from drills.errors import FaultError
from drills.faults.base import Fault, FaultParams, Record, Scene
from drills.faults.node_kill import revive, verify_voters


class QuorumLossParams(FaultParams):
    """None: the smallest majority is killed, the leader among it."""


class QuorumLoss(Fault[QuorumLossParams]):
    """SIGKILLs the leader and as many standbys as make a majority; undo starts and unseals them."""

    name = "quorum-loss"
    needs = frozenset({"processes"})
    params_model = QuorumLossParams

    def prepare(self, scene: Scene) -> Record:
        """Choose the nodes, the leader first."""
        leader = scene.vault.active_node()
        if leader is None:
            raise FaultError("quorum-loss: no node leads the cluster now")
        others = [name for name in scene.vault.nodes if name != leader]
        return {"nodes": [leader, *others[: len(scene.vault.nodes) // 2]]}

    def inject(self, scene: Scene, record: Record) -> None:
        """Kill them."""
        for node in record["nodes"]:
            scene.cluster.kill(node)

    def undo(self, scene: Scene, record: Record) -> None:
        """Start all of them, then unseal them."""
        revive(scene, record["nodes"])

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """Wait up to 30 s until every node is unsealed and a healthy voter."""
        return verify_voters(scene)

    def by_hand(self, record: Record) -> str:
        """Name the command that brings the nodes back."""
        nodes = ", ".join(record["nodes"])
        return f"quorum-loss: run `pulumi up` for the stack: it starts and unseals {nodes}"
