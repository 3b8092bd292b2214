"""Fault `rolling-restart`: one node after the other is restarted, the leader last."""

from __future__ import annotations

from drills.errors import FaultError
from drills.faults.base import Fault, FaultParams, Record, Scene
from drills.faults.node_kill import revive, verify_voters


class RollingRestartParams(FaultParams):
    """None."""


class RollingRestart(Fault[RollingRestartParams]):
    """Restarts and unseals the nodes as an upgrade would: standbys first, and each only once all
    of them vote again. Undo starts and unseals whatever is down."""

    name = "rolling-restart"
    needs = frozenset({"processes"})
    params_model = RollingRestartParams

    def prepare(self, scene: Scene) -> Record:
        """Note the order."""
        leader = scene.vault.active_node()
        if leader is None:
            raise FaultError("rolling-restart: no node leads the cluster now")
        return {"nodes": [*(name for name in scene.vault.nodes if name != leader), leader]}

    def inject(self, scene: Scene, record: Record) -> None:
        """Restart one by one; ends early, with all nodes up, when the run is to stop."""
        for node in record["nodes"]:
            if scene.stopping.is_set():
                return
            scene.cluster.kill(node)
            revive(scene, [node])
            problems = verify_voters(scene)
            if problems:
                raise FaultError(f"rolling-restart: after {node}: {problems[0]}")

    def undo(self, scene: Scene, record: Record) -> None:
        """Start what does not run, and unseal what is sealed."""
        revive(scene, record["nodes"])

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """Wait up to 30 s until every node is unsealed and a healthy voter."""
        return verify_voters(scene)

    def by_hand(self, record: Record) -> str:
        """Name the command that brings nodes back."""
        return "rolling-restart: run `pulumi up` for the stack: it starts and unseals every node"
