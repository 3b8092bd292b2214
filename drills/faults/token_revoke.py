"""Fault `token-revoke`: the logins of a service's clients are revoked, their leases with them."""

from __future__ import annotations

from typing import Literal

from drills.errors import FaultError
from drills.faults.base import Fault, FaultParams, Record, Scene
from drills.faults.lease_revoke import youngest


class TokenRevokeParams(FaultParams):
    """`service`: whose logins; `which`: `youngest` (one client's) or `all` of its auth mount."""

    service: str
    which: Literal["youngest", "all"] = "youngest"


class TokenRevoke(Fault[TokenRevokeParams]):
    """Revokes clients' tokens. Every lease that a token took dies with it, so the client loses
    its credential and the right to ask for another at once: it must log in again.

    There is nothing to undo.
    """

    name = "token-revoke"
    params_model = TokenRevokeParams

    def prepare(self, scene: Scene) -> Record:
        """Return where the logins are; nothing is touched."""
        try:
            service = scene.platform.service(self.params.service)
        except KeyError as error:
            raise FaultError(f"token-revoke: {error.args[0]}") from None
        return {"prefix": f"auth/{service.auth.mount}/login"}

    def inject(self, scene: Scene, record: Record) -> None:
        """Revoke the login or the logins, and see which roles went with them."""
        prefix = record["prefix"]
        if self.params.which == "all":
            keys = scene.vault.list_keys(f"sys/leases/lookup/{prefix}")
            logins = [f"{prefix}/{key}" for key in keys]
        else:
            logins = [login for login in [youngest(scene, prefix)] if login]
        if not logins:
            raise FaultError(f"token-revoke: nobody is logged in by {prefix} now")
        before = [role.oid for role in scene.database.dynamic_roles()]
        for login in logins:
            scene.secrets.add("lease-id", login)
            body = {"lease_id": login, "sync": True}
            scene.vault.call("PUT", "sys/leases/revoke", json=body, timeout=60)
        left = {role.oid for role in scene.database.dynamic_roles()}
        gone = [oid for oid in before if oid not in left]
        scene.observe(
            "revocation",
            revoked_roles=len(gone),
            roles_left=0,
            sessions_left=scene.database.sessions_left(gone),
            old_login=None,
        )

    def undo(self, scene: Scene, record: Record) -> None:
        """Nothing can bring a revoked token back."""

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """There is nothing to verify."""
        return []
