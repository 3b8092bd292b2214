"""Probe `postgres_roles`: dynamic roles in pg_roles beside live leases in Vault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from drills.database import Database
from drills.errors import VaultRefused, VaultUnreachable
from drills.probes.base import Probe
from drills.vault import Vault
from infra.platform import Platform


def live_leases(platform: Platform, vault: Vault, *, seconds: float = 0) -> int:
    """Return how many leases of dynamic roles Vault has.

    Raises `VaultRefused` or `VaultUnreachable`.
    """
    mount = platform.vault.database_mount
    roles = [r for service in platform.services for r in (service.role, service.read_only_role)]
    return sum(
        len(vault.list_keys(f"sys/leases/lookup/{mount}/creds/{role}", seconds=seconds))
        for role in roles
    )


class PostgresRoles(Probe):
    """Fields: roles, leases (None while Vault does not answer)."""

    name: ClassVar[str] = "postgres_roles"
    every: ClassVar[float] = 0.5

    def __init__(
        self,
        platform: Platform,
        vault: Vault,
        observe: Callable[..., Any],
        failed: Callable[[str, str], Any],
    ) -> None:
        super().__init__(observe, failed)
        self._platform = platform
        self._vault = vault
        self._database = Database(platform)

    def look(self) -> None:
        """Count both."""
        roles = len(self._database.dynamic_roles())
        try:
            leases: int | None = live_leases(self._platform, self._vault)
        except (VaultRefused, VaultUnreachable):
            leases = None
        self.observe(self.name, roles=roles, leases=leases)

    def close(self) -> None:
        """Close the observer's connection."""
        self._database.close()
