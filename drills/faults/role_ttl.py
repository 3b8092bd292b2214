"""Fault `role-ttl`: leases of a dynamic role live shorter, so that their natural end comes."""

from __future__ import annotations

from pydantic import Field

from drills.faults.base import Fault, FaultParams, Record, Scene

_KEYS = ("default_ttl", "max_ttl")


class RoleTtlParams(FaultParams):
    """`role`: the dynamic role; `ttl_seconds`, `max_ttl_seconds`: how long its leases live."""

    role: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    ttl_seconds: int = Field(ge=1)
    max_ttl_seconds: int = Field(ge=1)


class RoleTtl(Fault[RoleTtlParams]):
    """Sets the TTLs of a role and puts the old ones back.

    Vault looks at max_ttl at every renewal, counted from when the lease was issued: leases that
    live already meet it at their next renewal, refused or truncated.
    """

    name = "role-ttl"
    params_model = RoleTtlParams

    def prepare(self, scene: Scene) -> Record:
        """Note the role's TTLs."""
        path = f"{scene.platform.vault.database_mount}/roles/{self.params.role}"
        found = scene.vault.call("GET", path)["data"]
        return {"path": path, "before": {key: int(found[key]) for key in _KEYS}}

    def inject(self, scene: Scene, record: Record) -> None:
        """Set the new ones."""
        given = (self.params.ttl_seconds, self.params.max_ttl_seconds)
        scene.vault.call("POST", record["path"], json=dict(zip(_KEYS, given, strict=True)))

    def undo(self, scene: Scene, record: Record) -> None:
        """Put the old ones back."""
        scene.vault.call("POST", record["path"], json=record["before"])

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """Read them back."""
        found = scene.vault.call("GET", record["path"])["data"]
        return [
            f"{record['path']}: {key} is {found[key]}, not {wanted}"
            for key, wanted in record["before"].items()
            if int(found[key]) != wanted
        ]

    def by_hand(self, record: Record) -> str:
        """Name the command."""
        values = " ".join(f"{key}={value}" for key, value in record["before"].items())
        return f"role-ttl: vault write {record['path']} {values}"
