"""Fault `revoke-unreachable`: leases end while Vault can't reach Postgres."""

from __future__ import annotations

import contextlib

from pydantic import Field

from drills.errors import FaultError
from drills.faults.base import Fault, FaultParams, Record, Scene
from drills.faults.lines import PostgresLine
from drills.faults.slow_ddl import PROXY
from drills.faults.toxic import answers
from drills.toxiproxy import Toxiproxy
from infra.waiting import WaitedTooLong, wait_for

#: Vault tries again after 10 s ± 50 %, then 20 s ± 50 %, …; a fault of less than 15 s meets one
#: or two of them.
_RETRY_SECONDS = 75.0


class RevokeUnreachableParams(FaultParams):
    """`role`: the dynamic role of Vault's database engine whose leases end."""

    role: str = Field(pattern=r"^[A-Za-z0-9_-]+$")


class RevokeUnreachable(Fault[RevokeUnreachableParams]):
    """Cuts Vault off from Postgres, then ends every lease of the role. Revoking fails, and the
    roles and their sessions live on without a lease. Undo lets Vault through again, and waits
    until its own retries have dropped every one of those roles."""

    name = "revoke-unreachable"
    needs = frozenset({"proxy"})
    params_model = RevokeUnreachableParams

    def prepare(self, scene: Scene) -> Record:
        """Note the roles (oids) that must be gone in the end."""
        roles = scene.database.dynamic_roles(self.params.role)
        if not roles:
            raise FaultError(f"revoke-unreachable: role {self.params.role} has no lease now")
        return {
            "prefix": f"{scene.platform.vault.database_mount}/creds/{self.params.role}",
            "oids": [role.oid for role in roles],
        }

    def inject(self, scene: Scene, record: Record) -> None:
        """Cut, see that a session that was open has ended, and end the leases."""
        toxiproxy = Toxiproxy(scene.platform.proxy.api)
        with contextlib.closing(PostgresLine(scene, PROXY)) as line:
            toxiproxy.enable(PROXY, on=False)
            with contextlib.suppress(ConnectionError):
                line.ask()
                raise FaultError("revoke-unreachable: a session that was open is open still")
        path = f"sys/leases/revoke-prefix/{record['prefix']}"
        scene.vault.call("PUT", path, json={"sync": False})
        left = scene.database.roles_left(record["oids"])
        if not left:
            raise FaultError("revoke-unreachable: the roles went all the same: nothing was put off")

    def undo(self, scene: Scene, record: Record) -> None:
        """Let Vault through."""
        Toxiproxy(scene.platform.proxy.api).enable(PROXY, on=True)

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """See that Postgres answers, and wait until no role is left: up to 75 s, for Vault tries
        again when it will."""
        problems = answers(scene, [PROXY])
        if problems:
            return problems
        oids = record["oids"]
        with contextlib.suppress(WaitedTooLong):
            wait_for(
                lambda: not scene.database.roles_left(oids),
                "the roles going",
                seconds=_RETRY_SECONDS,
                every=0.25,
            )
        left = scene.database.roles_left(oids)
        scene.observe(
            "revocation",
            revoked_roles=len(oids),
            roles_left=left,
            sessions_left=scene.database.sessions_left(oids),
            old_login=None,
        )
        return [f"{left} roles are left after {_RETRY_SECONDS:g} s"] if left else []

    def by_hand(self, record: Record) -> str:
        """Name the calls."""
        return (
            f'revoke-unreachable: POST {{"enabled": true}} to /proxies/{PROXY} of the fault proxy, '
            f"then `vault lease revoke -prefix {record['prefix']}`"
        )
