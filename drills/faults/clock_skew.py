"""Fault `clock-skew`: to the database, credentials end before their lease does."""

from __future__ import annotations

import contextlib
from typing import Literal

from pydantic import Field

from drills.errors import FaultError, VaultRefused
from drills.faults.base import Fault, FaultParams, Record, Scene
from infra.skew_sql import ahead
from infra.waiting import WaitedTooLong, wait_for

_KEYS = ("creation_statements", "renew_statements")
#: Vault adds 5 s to a lease's end when it writes VALID UNTIL; a renewal may come in between.
_UNTIL_REFUSED_SECONDS = 20.0


class ClockSkewParams(FaultParams):
    """`role`: the dynamic role; `ahead_seconds`: how far Postgres' clock is ahead, 10 or 60."""

    role: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    ahead_seconds: Literal[10, 60]


class ClockSkew(Fault[ClockSkewParams]):
    """Makes the role's VALID UNTIL come too early, in creations and renewals, by Vault's own SQL
    of that role; renews every lease so that those that live have it too; and waits until Postgres
    would refuse at least one of them.

    Undo puts the SQL back and renews again: the true time is written.
    """

    name = "clock-skew"
    params_model = ClockSkewParams

    def prepare(self, scene: Scene) -> Record:
        """Note the role's SQL, which holds no secret."""
        mount = scene.platform.vault.database_mount
        path = f"{mount}/roles/{self.params.role}"
        found = scene.vault.call("GET", path)["data"]
        before = {}
        for key in _KEYS:
            statements = found.get(key) or []
            if len(statements) != 1 or not str(statements[0]).rstrip().endswith(";"):
                raise FaultError(
                    f"clock-skew: {path} must have one statement, with its semicolon, as {key}"
                )
            before[key] = str(statements[0])
        return {"path": path, "prefix": f"{mount}/creds/{self.params.role}", "before": before}

    def inject(self, scene: Scene, record: Record) -> None:
        """Change the SQL, renew what is leased, and wait for the first role to be too old."""
        seconds = self.params.ahead_seconds
        changed = {key: ahead(statement, seconds) for key, statement in record["before"].items()}
        scene.vault.call("POST", record["path"], json=changed)
        _renew_all(scene, record["prefix"])
        with contextlib.suppress(WaitedTooLong):
            wait_for(
                lambda: scene.stopping.is_set() or scene.database.too_old(self.params.role),
                "a role that is too old",
                seconds=_UNTIL_REFUSED_SECONDS,
                every=0.1,
            )
            return
        raise FaultError(
            f"clock-skew: {seconds} s ahead, no login of {self.params.role} is refused within "
            f"{_UNTIL_REFUSED_SECONDS:g} s: leases must be {seconds} s long, or shorter"
        )

    def undo(self, scene: Scene, record: Record) -> None:
        """Put the SQL back, and let it write the true time."""
        scene.vault.call("POST", record["path"], json=record["before"])
        _renew_all(scene, record["prefix"])

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """Read the SQL back."""
        found = scene.vault.call("GET", record["path"])["data"]
        return [
            f"{record['path']}: {key} is not as it was"
            for key, statement in record["before"].items()
            if found[key] != [statement]
        ]

    def by_hand(self, record: Record) -> str:
        """Name the command."""
        return f"clock-skew: write {record['before']} to {record['path']} of Vault"


def _renew_all(scene: Scene, prefix: str) -> None:
    for key in scene.vault.list_keys(f"sys/leases/lookup/{prefix}"):
        lease = f"{prefix}/{key}"
        scene.secrets.add("lease-id", lease)
        # It may have ended, or reached max_ttl, in between: its client takes a new one then.
        with contextlib.suppress(VaultRefused):
            scene.vault.call("PUT", "sys/leases/renew", json={"lease_id": lease})
