"""Fault `quota`: Vault answers 429 to most requests for credentials."""

from __future__ import annotations

from pydantic import Field

from drills.errors import VaultRefused
from drills.faults.base import Fault, FaultParams, Record, Scene

NAME = "drill-quota"


class QuotaParams(FaultParams):
    """`rate`: requests for each `interval_seconds` that are let through, a node and an address."""

    rate: float = Field(gt=0)
    interval_seconds: int = Field(default=1, ge=1)


class Quota(Fault[QuotaParams]):
    """Adds a rate limit of the drill's own on the database mount, and takes it away again; the
    stack's own limit is not touched."""

    name = "quota"
    params_model = QuotaParams

    def prepare(self, scene: Scene) -> Record:
        """Note the mount."""
        return {"path": f"{scene.platform.vault.database_mount}/"}

    def inject(self, scene: Scene, record: Record) -> None:
        """Add the limit."""
        body = {
            "path": record["path"],
            "rate": self.params.rate,
            "interval": f"{self.params.interval_seconds}s",
        }
        scene.vault.call("POST", f"sys/quotas/rate-limit/{NAME}", json=body)

    def undo(self, scene: Scene, record: Record) -> None:
        """Delete the limit."""
        scene.vault.call("DELETE", f"sys/quotas/rate-limit/{NAME}")

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """See that the limit is gone."""
        try:
            scene.vault.call("GET", f"sys/quotas/rate-limit/{NAME}")
        except VaultRefused as error:
            return [] if error.status == 404 else [str(error)]
        return [f"rate limit {NAME} is still there"]

    def by_hand(self, record: Record) -> str:
        """Name the command."""
        return f"quota: vault delete sys/quotas/rate-limit/{NAME}"
