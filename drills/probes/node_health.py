"""Probe `node_health`: what each node's sys/health says, 4 times a second, one thread a node."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

from drills.probes.base import VaultProbe
from drills.vault import Vault

#: Vault's own meaning of the status (vault: http/sys_health.go).
_ACTIVE = 200
_UNSEALED = {200, 429, 472, 473, 474}


class NodeHealth(VaultProbe):
    """Fields: node, reachable, status, active, sealed (None if unreachable), seconds."""

    name: ClassVar[str] = "node_health"
    every: ClassVar[float] = 0.25

    def __init__(
        self,
        vault: Vault,
        node: str,
        observe: Callable[..., Any],
        failed: Callable[[str, str], Any],
    ) -> None:
        super().__init__(vault, observe, failed)
        self._node = node

    def look(self) -> None:
        """Ask once, within a second."""
        started = time.monotonic()
        status = self._vault.health(self._node)
        self.observe(
            self.name,
            t=started,
            node=self._node,
            reachable=status is not None,
            status=status,
            active=status == _ACTIVE,
            sealed=None if status is None else status not in _UNSEALED,
            seconds=round(time.monotonic() - started, 6),
        )
