"""Fault `lease-revoke`: one lease of a dynamic role is revoked, the others stay."""

from __future__ import annotations

from pydantic import Field

from drills.errors import FaultError, VaultRefused
from drills.faults.base import Fault, FaultParams, Record, Scene


class LeaseRevokeParams(FaultParams):
    """`role`: the dynamic role of Vault's database engine, one of whose leases goes."""

    role: str = Field(pattern=r"^[A-Za-z0-9_-]+$")


class LeaseRevoke(Fault[LeaseRevokeParams]):
    """Revokes the youngest lease of the role, and waits until Vault is through with it.

    The youngest, since that is a client's that lives: what a crashed one left behind is older.
    There is nothing to undo: the client has to take a new lease, which is what is drilled.
    """

    name = "lease-revoke"
    params_model = LeaseRevokeParams

    def prepare(self, scene: Scene) -> Record:
        """Return the prefix; the lease's id is a secret and stays out of the record."""
        return {"prefix": f"{scene.platform.vault.database_mount}/creds/{self.params.role}"}

    def inject(self, scene: Scene, record: Record) -> None:
        """Find the youngest lease, revoke it, and see which role went with it."""
        lease = youngest(scene, record["prefix"])
        if lease is None:
            raise FaultError(f"lease-revoke: role {self.params.role} has no lease now")
        scene.secrets.add("lease-id", lease)
        before = [role.oid for role in scene.database.dynamic_roles(self.params.role)]
        body = {"lease_id": lease, "sync": True}
        scene.vault.call("PUT", "sys/leases/revoke", json=body, timeout=60)
        left = {role.oid for role in scene.database.dynamic_roles(self.params.role)}
        gone = [oid for oid in before if oid not in left]
        scene.observe(
            "revocation",
            revoked_roles=1,
            roles_left=0 if gone else 1,
            sessions_left=scene.database.sessions_left(gone),
            old_login=None,
        )

    def undo(self, scene: Scene, record: Record) -> None:
        """Nothing can bring a revoked lease back."""

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """There is nothing to verify."""
        return []


def youngest(scene: Scene, prefix: str) -> str | None:
    """Return the id of the lease under `prefix` that was issued last, None when there is none."""
    issued: list[tuple[str, str]] = []
    for key in scene.vault.list_keys(f"sys/leases/lookup/{prefix}"):
        lease = f"{prefix}/{key}"
        try:
            found = scene.vault.call("PUT", "sys/leases/lookup", json={"lease_id": lease})
        except VaultRefused:  # it has ended in between
            continue
        issued.append((str(found["data"]["issue_time"]), lease))
    return max(issued)[1] if issued else None
