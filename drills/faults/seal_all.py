"""Fault `seal-all`: every node restarts and stays sealed, as after a power cut of the site."""

from __future__ import annotations

from drills.faults.base import Fault, FaultParams, Record, Scene
from drills.faults.node_kill import revive, verify_voters


class SealAllParams(FaultParams):
    """None."""


class SealAll(Fault[SealAllParams]):
    """Kills every node and starts it again without unsealing it.

    sys/seal would not do: only the active node obeys it, and the last one has no majority left
    to be active with. Undo unseals.
    """

    name = "seal-all"
    needs = frozenset({"processes", "unseal"})
    params_model = SealAllParams

    def prepare(self, scene: Scene) -> Record:
        """Note the nodes."""
        return {"nodes": list(scene.vault.nodes)}

    def inject(self, scene: Scene, record: Record) -> None:
        """Kill all of them, then start all of them."""
        for node in record["nodes"]:
            scene.cluster.kill(node)
        for node in record["nodes"]:
            scene.cluster.start(node)

    def undo(self, scene: Scene, record: Record) -> None:
        """Start what does not run, and unseal what is sealed."""
        revive(scene, record["nodes"])

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """Wait up to 30 s until every node is unsealed and a healthy voter."""
        return verify_voters(scene)

    def by_hand(self, record: Record) -> str:
        """Name the command that unseals."""
        return "seal-all: run `pulumi up` for the stack: it starts and unseals every node"
