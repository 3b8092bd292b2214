"""Fault `vault-setting`: a setting of the stack's own in Vault has another value for a while."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from drills.access import as_provisioner
from drills.faults.base import Fault, FaultParams, Record, Scene

#: Roles of a secrets engine and policies: what is read there holds no secret.
_PATHS = r"^([A-Za-z0-9_-]+/roles/[A-Za-z0-9_-]+|sys/policies/acl/[A-Za-z0-9_-]+)$"


class VaultSettingParams(FaultParams):
    """`path`: a role of the database engine (`database/roles/orders`) or a policy
    (`sys/policies/acl/orders`); `values`: the keys to write there."""

    path: str = Field(pattern=_PATHS)
    values: dict[str, Any] = Field(min_length=1)


class VaultSetting(Fault[VaultSettingParams]):
    """Writes `values` over what is at `path`, and puts back what was there before.

    It takes the rights of `pulumi up`, out of the stack's state: the drill operator may not change
    what SQL makes or ends a role, nor a policy. A configuration defect is tried out with it.
    """

    name = "vault-setting"
    params_model = VaultSettingParams

    def prepare(self, scene: Scene) -> Record:
        """Note what the keys hold now."""
        found = self._read(scene, self.params.path)
        return {
            "path": self.params.path,
            "before": {key: found.get(key) for key in self.params.values},
        }

    def inject(self, scene: Scene, record: Record) -> None:
        """Write the values."""
        self._write(scene, record["path"], self.params.values)

    def undo(self, scene: Scene, record: Record) -> None:
        """Put the old ones back."""
        self._write(scene, record["path"], record["before"])

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """Read them back."""
        found = self._read(scene, record["path"])
        return [
            f"{record['path']}: {key} is not what it was before"
            for key, wanted in record["before"].items()
            if found.get(key) != wanted
        ]

    def by_hand(self, record: Record) -> str:
        """Name the command: what is declared is in the Pulumi program."""
        return f"vault-setting: `pulumi refresh` and `pulumi up` ({record['path']})"

    def _read(self, scene: Scene, path: str) -> dict[str, Any]:
        vault = as_provisioner(scene.platform, scene.secrets)
        try:
            found: dict[str, Any] = vault.call("GET", path)["data"]
        finally:
            vault.close()
        return found

    def _write(self, scene: Scene, path: str, values: dict[str, Any]) -> None:
        vault = as_provisioner(scene.platform, scene.secrets)
        try:
            vault.call("POST", path, json=values)
        finally:
            vault.close()
