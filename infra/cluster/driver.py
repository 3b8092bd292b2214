"""What every cluster driver can do to its nodes. One driver a file; faults use no other door."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from infra.cluster.abilities import Ability
from infra.platform import Platform


class ClusterDriver(Protocol):
    """The nodes of one Vault cluster, by name.

    Methods raise `infra.cluster.process.ProcessError` or `infra.waiting.WaitedTooLong`; each can
    be repeated. A driver without the ability `processes` raises `ProcessError` for all but
    `nodes`; preflight refuses a drill that needs more than the driver has.
    """

    def abilities(self) -> frozenset[Ability]:
        """Return what can be done to nodes, database and lines of this stack."""

    def nodes(self) -> list[str]:
        """Return the names of all nodes, running or not."""

    def running(self, node: str) -> bool:
        """Return whether the node's server process is there."""

    def kill(self, node: str) -> None:
        """End the node's server at once, as a power cut would."""

    def start(self, node: str) -> None:
        """Start the node's server and wait until it answers; it is sealed then, unless it
        unseals itself."""

    def unseal(self, node: str, keys: Sequence[str]) -> None:
        """Unseal the node, or without keys wait until it has unsealed itself; no error when it
        is unsealed already."""


class Pausing(Protocol):
    """A driver with the ability `pause`."""

    def pause(self, node: str) -> None:
        """Freeze the node's server; its connections stay open. No error when it is frozen."""

    def resume(self, node: str) -> None:
        """Let it go on. No error when it does."""


class Disconnecting(Protocol):
    """A driver with the ability `disconnect`."""

    def disconnect(self, node: str) -> None:
        """Take the node off the network. No error when it is off."""

    def reconnect(self, node: str) -> None:
        """Put it back. No error when it is there."""


def open_cluster(platform: Platform) -> ClusterDriver:
    """Return the driver of a stack's cluster."""
    # only the driver that is used is imported
    match platform.cluster.driver:
        case "external" | "kubernetes":
            from infra.cluster.external import ExternalCluster  # noqa: PLC0415

            return ExternalCluster(platform)
        case "docker":
            from infra.cluster.docker import DockerCluster  # noqa: PLC0415

            return DockerCluster(Path(platform.cluster.state_dir))
        case "local":
            from infra.cluster.local import LocalCluster  # noqa: PLC0415

            return LocalCluster(Path(platform.cluster.state_dir))
