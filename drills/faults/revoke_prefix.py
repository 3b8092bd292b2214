"""Fault `revoke-prefix`: every lease of a dynamic role is revoked at once."""

from __future__ import annotations

import contextlib

from pydantic import Field

from drills.faults.base import Fault, FaultParams, Record, Scene


class RevokePrefixParams(FaultParams):
    """`role`: the dynamic role of Vault's database engine whose leases go."""

    role: str = Field(pattern=r"^[A-Za-z0-9_-]+$")


class RevokePrefix(Fault[RevokePrefixParams]):
    """Revokes what is leased under `<mount>/creds/<role>`, and proves that it is gone.

    Just before, it takes a credential of the role for itself (the canary) and notes which roles
    exist; the proof is that the canary's login is refused, and none of those roles has a session
    or an entry in pg_roles. There is nothing to undo: clients have to take new leases, which is
    what is drilled.
    """

    name = "revoke-prefix"
    params_model = RevokePrefixParams

    def prepare(self, scene: Scene) -> Record:
        """Return the prefix; nothing is touched."""
        return {"prefix": f"{scene.platform.vault.database_mount}/creds/{self.params.role}"}

    def inject(self, scene: Scene, record: Record) -> None:
        """Take the canary, revoke the prefix and wait for Vault to be through with it."""
        canary = scene.vault.call("GET", record["prefix"])
        username = str(canary["data"]["username"])
        password = str(canary["data"]["password"])
        scene.secrets.add("password", password)
        scene.secrets.add("lease-id", str(canary["lease_id"]))
        with self.use_canary(scene, username, password):
            oids = [role.oid for role in scene.database.dynamic_roles(self.params.role)]
            scene.vault.call("PUT", f"sys/leases/revoke-prefix/{record['prefix']}", timeout=60)
            scene.observe(
                "revocation",
                revoked_roles=len(oids),
                roles_left=scene.database.roles_left(oids),
                sessions_left=scene.database.sessions_left(oids),
                old_login=scene.database.login(username, password),
            )
        self._proof = (oids, username, password)

    def use_canary(
        self, scene: Scene, username: str, password: str
    ) -> contextlib.AbstractContextManager[object]:
        """Do with the canary what is to be going on while it is revoked: nothing, here."""
        return contextlib.nullcontext()

    def undo(self, scene: Scene, record: Record) -> None:
        """Nothing can bring a revoked lease back."""

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """Look at the revoked roles once more: a session may have slipped in behind."""
        proof = getattr(self, "_proof", None)
        if proof is not None:
            oids, username, password = proof
            scene.observe(
                "revocation",
                revoked_roles=len(oids),
                roles_left=scene.database.roles_left(oids),
                sessions_left=scene.database.sessions_left(oids),
                old_login=scene.database.login(username, password),
            )
        return []
