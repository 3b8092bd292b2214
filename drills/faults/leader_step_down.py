"""Fault `leader-step-down`: the active node gives up its lead, and stays alive."""

from __future__ import annotations

from drills.errors import FaultError, VaultRefused, VaultUnreachable
from drills.faults.base import Fault, FaultParams, Record, Scene
from drills.faults.node_kill import verify_voters
from infra.waiting import wait_for


class LeaderStepDownParams(FaultParams):
    """None."""


class LeaderStepDown(Fault[LeaderStepDownParams]):
    """Makes the leader step down (sys/step-down), as its upgrade would. It stands again after
    10 s, so undo is waiting for a whole cluster."""

    name = "leader-step-down"
    params_model = LeaderStepDownParams

    def prepare(self, scene: Scene) -> Record:
        """Find the leader."""
        leader = scene.vault.active_node()
        if leader is None:
            raise FaultError("leader-step-down: no node leads the cluster now")
        return {"node": leader}

    def inject(self, scene: Scene, record: Record) -> None:
        """Ask it to step down, and wait until it does not lead any more."""
        # The node ends the very connection that asks it, so the answer may not arrive.
        try:
            scene.vault.call("PUT", "sys/step-down", node=record["node"], seconds=0)
        except VaultRefused:
            raise
        except VaultUnreachable:
            pass
        wait_for(
            lambda: scene.vault.health(record["node"]) != 200,
            f"{record['node']} stepping down",
            seconds=10,
        )

    def undo(self, scene: Scene, record: Record) -> None:
        """The cluster elects by itself."""

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """Wait up to 30 s until every node is unsealed and a healthy voter."""
        return verify_voters(scene)

    def by_hand(self, record: Record) -> str:
        """Name what brings a cluster back that does not elect."""
        return f"leader-step-down: end {record['node']}'s process, then run `pulumi up`"
