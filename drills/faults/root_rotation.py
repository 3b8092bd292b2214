"""Fault `root-rotation`: Vault gives itself a new password in Postgres."""

from __future__ import annotations

from drills.faults.base import Fault, FaultParams, Record, Scene


class RootRotationParams(FaultParams):
    """None."""


class RootRotation(Fault[RootRotationParams]):
    """Rotates the password by which Vault makes roles (rotate-root), and takes a credential of
    each service with the new one. Nobody but Vault knows it then: there is nothing to undo."""

    name = "root-rotation"
    params_model = RootRotationParams

    def prepare(self, scene: Scene) -> Record:
        """Note the connection, which is called as the database is."""
        platform = scene.platform
        mount = platform.vault.database_mount
        return {"path": f"{mount}/rotate-root/{platform.postgres.database}"}

    def inject(self, scene: Scene, record: Record) -> None:
        """Rotate, once: a second try after a lost answer would do no harm."""
        scene.vault.call("POST", record["path"], timeout=15)

    def undo(self, scene: Scene, record: Record) -> None:
        """The old password is gone for good, which is the point."""

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """Take a credential of each service's role by the new password, and give it back."""
        for service in scene.platform.services:
            path = f"{scene.platform.vault.database_mount}/creds/{service.role}"
            canary = scene.vault.call("GET", path)
            scene.secrets.add("password", str(canary["data"]["password"]))
            scene.secrets.add("lease-id", str(canary["lease_id"]))
            body = {"lease_id": canary["lease_id"], "sync": True}
            scene.vault.call("PUT", "sys/leases/revoke", json=body, timeout=30)
        return []

    def by_hand(self, record: Record) -> str:
        """Name the way back in."""
        return (
            "root-rotation: as Postgres's superuser set a new password for Vault's admin role, and "
            "write it to Vault's connection (password_wo_version + 1, then `pulumi up`)"
        )
