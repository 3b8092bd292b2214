"""What every cluster driver can do to its nodes. One driver a file; faults use no other door."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from infra.platform import Platform


class ClusterDriver(Protocol):
    """The nodes of one Vault cluster, by name.

    Methods raise `infra.cluster.process.ProcessError` or `infra.waiting.WaitedTooLong`; each can
    be repeated.
    """

    def nodes(self) -> list[str]:
        """Return the names of all nodes, running or not."""

    def running(self, node: str) -> bool:
        """Return whether the node's server process is there."""

    def kill(self, node: str) -> None:
        """End the node's server at once, as a power cut would."""

    def start(self, node: str) -> None:
        """Start the node's server and wait until it answers; it is sealed then."""

    def unseal(self, node: str, keys: Sequence[str]) -> None:
        """Unseal the node; no error when it is unsealed already."""


def open_cluster(platform: Platform) -> ClusterDriver:
    """Return the driver of a stack's cluster."""
    from infra.cluster.local import LocalCluster  # noqa: PLC0415 - only the driver that is used

    return LocalCluster(Path(platform.cluster.state_dir))
