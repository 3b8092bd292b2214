"""What must be true before a drill may touch a stack. Each refusal is one line, exit status 2."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from drills import calendar, hold
from drills.definition import Drill
from drills.errors import SetupError, VaultRefused, VaultUnreachable
from drills.faults.base import Fault, Scene
from drills.undo import UndoLog
from infra.cluster.abilities import MEANING
from infra.platform import Platform

IRREVOCABLE = "vault.expire.num_irrevocable_leases"


def check_allowed(platform: Platform, drill: Drill) -> None:
    """Refuse a stack that does not allow drills, now or at all, or has no such service."""
    if not platform.drills.allowed:
        raise SetupError(
            f"stack {platform.stack} does not allow drills: set drills:allowed to true in "
            f"Pulumi.{platform.stack}.yaml and run `pulumi up`, or take another stack"
        )
    shut = calendar.closed(platform, datetime.now(UTC))
    if shut is not None:
        raise SetupError(shut)
    try:
        drill.load.service_of(platform)
    except SetupError as error:
        raise SetupError(f"{drill.drill}.yaml: {error}") from None


def check_load(drill: Drill) -> None:
    """Refuse a load that can't be: a URL that does not answer, a locust file without users."""
    try:
        drill.load.check()
    except SetupError as error:
        raise SetupError(f"{drill.drill}.yaml: {error}") from None


def check_hold(platform: Platform) -> None:
    """Refuse while the kill switch is on."""
    reason = hold.reason(platform.drills.state_dir)
    if reason is not None:
        raise SetupError(
            f"the kill switch of stack {platform.stack} is on ({reason}): "
            "`drill stop --release` takes it off"
        )


def check_left_over(undo_log: UndoLog) -> None:
    """Refuse while a fault of an earlier run stands."""
    pending = undo_log.pending()
    if pending:
        listed = ", ".join(f"{entry.fault} of {entry.run}" for entry in pending)
        raise SetupError(f"a fault was left behind ({listed}): run `drill recover` first")


def check_able(scene: Scene, faults: Iterable[Fault[Any]]) -> None:
    """Refuse a drill with a fault that this stack's driver can't carry out."""
    abilities = scene.cluster.abilities()
    for fault in faults:
        for need in sorted(fault.needs - abilities):
            raise SetupError(
                f"{fault.name}: driver {scene.platform.cluster.driver} of stack "
                f"{scene.platform.stack} can't {MEANING[need]}: run this drill on another stack"
            )


def check_healthy(scene: Scene) -> None:
    """Refuse a cluster that is not whole: a drill must not be the second failure."""
    for node in scene.vault.nodes:
        status = scene.vault.health(node)
        if status not in {200, 429, 473}:
            meaning = {None: "does not answer", 503: "is sealed", 501: "is not initialised"}
            raise SetupError(
                f"{node} {meaning.get(status, f'answers {status} to sys/health')}: "
                f"run `pulumi up --stack {scene.platform.stack}`, which brings nodes back"
            )
    try:
        state = scene.vault.call("GET", "sys/storage/raft/autopilot/state", seconds=5)["data"]
    except VaultRefused as error:
        raise SetupError(
            f"the drill operator's token is refused ({error}): run `pulumi up`"
        ) from None
    except VaultUnreachable as error:
        raise SetupError(f"the cluster has no leader ({error}): run `pulumi up`") from None
    voters = len(state.get("voters") or [])
    if not state.get("healthy") or voters != len(scene.vault.nodes):
        raise SetupError(
            f"{voters} of {len(scene.vault.nodes)} nodes vote, or one is unhealthy: "
            "wait until autopilot calls the cluster healthy"
        )
    _check_irrevocable(scene)


def _check_irrevocable(scene: Scene) -> None:
    """Refuse while leases are irrevocable: the drill's own could not be told from them."""
    leader = scene.vault.active_node()
    if leader is None:  # it has just gone; the drill would find out no sooner
        raise SetupError("the cluster has no leader: run `pulumi up`")
    told = scene.vault.call("GET", "sys/metrics", node=leader, seconds=5)
    for gauge in told.get("Gauges") or []:
        count = int(gauge["Value"]) if gauge["Name"] == IRREVOCABLE else 0
        if count:
            raise SetupError(
                f"Vault has given up to revoke {count} leases: see "
                "`vault read sys/leases type=irrevocable`, drop their roles in Postgres, and "
                "revoke them with `vault lease revoke -force -prefix`"
            )
