"""Fault `node-kill`: a Vault node's process is killed, as a power cut would."""

from __future__ import annotations

from typing import Literal

from drills.errors import FaultError
from drills.faults.base import Fault, FaultParams, Record, Scene
from infra.waiting import WaitedTooLong, wait_for


class NodeKillParams(FaultParams):
    """`node`: `leader`, `standby`, or a node's name."""

    node: Literal["leader", "standby"] | str = "leader"


class NodeKill(Fault[NodeKillParams]):
    """SIGKILLs one node; undo starts and unseals it and waits until all nodes vote again."""

    name = "node-kill"
    needs = frozenset({"processes"})
    params_model = NodeKillParams

    def prepare(self, scene: Scene) -> Record:
        """Choose the node by its present part in the cluster."""
        leader = scene.vault.active_node()
        if leader is None:
            raise FaultError(
                f"{self.name}: no node leads the cluster now, so there is none to take"
            )
        if self.params.node == "leader":
            return {"node": leader}
        if self.params.node == "standby":
            return {"node": next(name for name in scene.vault.nodes if name != leader)}
        if self.params.node not in scene.vault.nodes:
            known = ", ".join(scene.vault.nodes)
            raise FaultError(f"{self.name}: there is no node {self.params.node!r}; known: {known}")
        return {"node": self.params.node}

    def inject(self, scene: Scene, record: Record) -> None:
        """Kill the node's process."""
        scene.cluster.kill(record["node"])

    def undo(self, scene: Scene, record: Record) -> None:
        """Start the node unless it runs, and unseal it unless it is unsealed."""
        revive(scene, [record["node"]])

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """Wait up to 30 s until every node is unsealed and a healthy voter."""
        return verify_voters(scene)

    def by_hand(self, record: Record) -> str:
        """Name the commands that bring the node back."""
        return f"node-kill: run `pulumi up` for the stack: it starts and unseals {record['node']}"


def healthy_voters(scene: Scene) -> int:
    """Return how many nodes are unsealed and, to autopilot, healthy voters."""
    unsealed = {name for name in scene.vault.nodes if scene.vault.health(name) in {200, 429, 473}}
    try:
        state = scene.vault.call("GET", "sys/storage/raft/autopilot/state", seconds=5)["data"]
    except Exception:  # noqa: BLE001 - no answer means no healthy voter, whatever the reason
        return 0
    servers = state.get("servers") or {}
    return sum(
        1
        for name, server in servers.items()
        if name in unsealed
        and server.get("healthy")
        and server.get("status") in {"leader", "voter"}
    )


def verify_voters(scene: Scene, *, seconds: float = 30) -> list[str]:
    """Wait until every node is unsealed and a healthy voter; return a line when it takes longer."""
    wanted = len(scene.vault.nodes)
    try:
        wait_for(
            lambda: healthy_voters(scene) == wanted,
            f"{wanted} unsealed voters",
            seconds=seconds,
            every=0.25,
        )
    except WaitedTooLong as error:
        return [f"{error}: there are {healthy_voters(scene)}"]
    return []


def restart_unless_whole(scene: Scene, node: str) -> None:
    """Restart a node that has not found its place again within 10 s of being back.

    Seen on Vault 1.21.0: a leader that was frozen stepped down in raft, yet called itself active
    until it was restarted.
    """
    if verify_voters(scene, seconds=10):
        scene.cluster.kill(node)
        revive(scene, [node])


def revive(scene: Scene, nodes: list[str]) -> None:
    """Start every node of these that does not run, then unseal them.

    All are started before the first is unsealed: without a majority none gets anywhere.
    """
    keys = [key.get_secret_value() for key in scene.platform.vault.unseal_keys]
    for node in nodes:
        scene.cluster.start(node)
    for node in nodes:
        scene.cluster.unseal(node, keys)
