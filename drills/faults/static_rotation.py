"""Fault `static-rotation`: Vault changes the password of a login that stays."""

from __future__ import annotations

import contextlib

import psycopg
from pydantic import Field

from drills.errors import FaultError
from drills.faults.base import Fault, FaultParams, Record, Scene


class StaticRotationParams(FaultParams):
    """`service`: whose static role; `times`: how often its password changes."""

    service: str
    times: int = Field(default=3, ge=1, le=20)


class StaticRotation(Fault[StaticRotationParams]):
    """Rotates a static role's password (rotate-role) while a session of it is at work, and proves
    it each time: the new password gets in, the one before does not, the session lives.

    The role's lease on life is not touched, and nobody knows the old password: nothing to undo.
    """

    name = "static-rotation"
    params_model = StaticRotationParams

    def prepare(self, scene: Scene) -> Record:
        """Note the static role."""
        try:
            static = scene.platform.service(self.params.service).static
        except KeyError as error:
            raise FaultError(f"static-rotation: {error.args[0]}") from None
        if static is None:
            raise FaultError(
                f"static-rotation: service {self.params.service} has no static role: give it one "
                f"in Pulumi.{scene.platform.stack}.yaml (static), then `pulumi up`"
            )
        return {"role": static.role, "username": static.username}

    def inject(self, scene: Scene, record: Record) -> None:
        """Log in, then rotate and prove, over and over."""
        password = self._password(scene, record)
        session = scene.database.connect(
            user=record["username"], password=password, name="rotation-drills batch"
        )
        with contextlib.closing(session):
            for _ in range(self.params.times):
                if scene.stopping.is_set():
                    return
                path = f"{scene.platform.vault.database_mount}/rotate-role/{record['role']}"
                scene.vault.call("POST", path, timeout=15)
                before, password = password, self._password(scene, record)
                self._prove(scene, record["username"], before, password)
                try:
                    session.execute("SELECT 1")
                except psycopg.OperationalError as error:
                    raise FaultError(
                        "static-rotation: a session did not survive the rotation "
                        f"({type(error).__name__})"
                    ) from None

    def _password(self, scene: Scene, record: Record) -> str:
        path = f"{scene.platform.vault.database_mount}/static-creds/{record['role']}"
        password = str(scene.vault.call("GET", path)["data"]["password"])
        scene.secrets.add("password", password)
        return password

    def _prove(self, scene: Scene, username: str, before: str, password: str) -> None:
        if scene.database.login(username, password) != "accepted":
            raise FaultError("static-rotation: the new password is not accepted")
        scene.observe(
            "revocation",
            revoked_roles=1,
            roles_left=0,  # the login stays: what is revoked is its password
            sessions_left=0,
            old_login=scene.database.login(username, before),
        )

    def undo(self, scene: Scene, record: Record) -> None:
        """The old password is gone for good, which is the point."""

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """See that the password that Vault gives out is the one that Postgres takes."""
        found = scene.database.login(record["username"], self._password(scene, record))
        return [] if found == "accepted" else [f"{record['username']}: login {found}"]

    def by_hand(self, record: Record) -> str:
        """Name the command."""
        return f"static-rotation: vault write -f database/rotate-role/{record['role']}"
