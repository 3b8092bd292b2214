"""Fault `own-objects`: every lease is revoked while roles own something in the database."""

from __future__ import annotations

import contextlib

from pydantic import Field

from drills.errors import VaultRefused, VaultUnreachable
from drills.faults.base import Fault, Record, Scene
from drills.faults.revoke_prefix import RevokePrefixParams


class OwnObjectsParams(RevokePrefixParams):
    """`role`: the dynamic role; `logins`: how many of its credentials own something."""

    logins: int = Field(default=4, ge=1, le=20)


class OwnObjects(Fault[OwnObjectsParams]):
    """Takes credentials of the role, makes a large object by each (which every role may), and
    revokes every lease of the role. DROP ROLE fails while a role owns objects; Vault tries six
    times, and then it leaves role and lease to whoever looks for irrevocable ones.

    The large objects go with their roles, or as Vault's retries succeed: nothing to undo.
    """

    name = "own-objects"
    params_model = OwnObjectsParams

    def prepare(self, scene: Scene) -> Record:
        """Return the prefix; nothing is touched."""
        return {"prefix": f"{scene.platform.vault.database_mount}/creds/{self.params.role}"}

    def inject(self, scene: Scene, record: Record) -> None:
        """Make the objects, revoke the prefix, and see what is left of the roles."""
        owners = [self._owner(scene, record["prefix"]) for _ in range(self.params.logins)]
        oids = [role.oid for role in scene.database.dynamic_roles(self.params.role)]
        path = f"sys/leases/revoke-prefix/{record['prefix']}"
        # A revocation that fails is what the bounds are there to see.
        with contextlib.suppress(VaultRefused, VaultUnreachable):
            scene.vault.call("PUT", path, timeout=60, seconds=0)
        self._proof = (oids, owners)
        self._look(scene)

    def _owner(self, scene: Scene, path: str) -> tuple[str, str]:
        """Take a credential, and return user name and password once it owns a large object."""
        lease = scene.vault.call("GET", path)
        username, password = str(lease["data"]["username"]), str(lease["data"]["password"])
        scene.secrets.add("password", password)
        scene.secrets.add("lease-id", str(lease["lease_id"]))
        session = scene.database.connect(
            user=username, password=password, name="rotation-drills owner"
        )
        with contextlib.closing(session):
            session.execute("SELECT lo_create(0)")
        return username, password

    def _look(self, scene: Scene) -> None:
        oids, owners = self._proof
        logins = {scene.database.login(*owner) for owner in owners}
        scene.observe(
            "revocation",
            revoked_roles=len(oids),
            roles_left=scene.database.roles_left(oids),
            sessions_left=scene.database.sessions_left(oids),
            old_login=next(
                (how for how in ("accepted", "unreachable") if how in logins), "refused"
            ),
        )

    def undo(self, scene: Scene, record: Record) -> None:
        """Nothing can bring a revoked lease back."""

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """Look at the revoked roles once more."""
        if hasattr(self, "_proof"):
            self._look(scene)
        return []
