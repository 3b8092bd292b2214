"""A stack at rest: what one cell left behind must not be in the next one's evidence."""

from __future__ import annotations

from drills import preflight
from drills.errors import SetupError, VaultRefused, VaultUnreachable
from drills.faults.base import Scene
from drills.probes.postgres_roles import live_leases
from drills.recovery import open_scene
from drills.redact import Secrets
from drills.undo import UndoLog
from infra.platform import Platform
from infra.waiting import WaitedTooLong, wait_for

#: Vault's first retry of a revocation that failed comes after some 10 s, the second after 20 more.
_SECONDS = 120.0


def bring_to_rest(platform: Platform, *, seconds: float = _SECONDS) -> None:
    """Revoke what bad clients did not give back, and wait until no role is left and all is well.

    Raises `SetupError` when it does not come to rest in time, or a fault stands.
    """
    preflight.check_left_over(UndoLog(platform.drills.state_dir))
    with open_scene(platform, Secrets(), lambda *_a, **_k: None) as scene:
        trouble = "nobody looked"

        def at_rest() -> bool:
            nonlocal trouble
            try:
                trouble = _trouble(scene)
            except (SetupError, VaultRefused, VaultUnreachable) as error:
                trouble = str(error)
            return not trouble

        try:
            wait_for(at_rest, "the stack coming to rest", seconds=seconds, every=0.5)
        except WaitedTooLong:
            raise SetupError(
                f"the stack did not come to rest within {seconds:g} s: {trouble}"
            ) from None


def _trouble(scene: Scene) -> str:
    """Return what keeps the stack from being at rest, after doing something about it."""
    mount = scene.platform.vault.database_mount
    left = live_leases(scene.platform, scene.vault)
    if left:
        for service in scene.platform.services:
            for role in (service.role, service.read_only_role):
                scene.vault.call(
                    "PUT", f"sys/leases/revoke-prefix/{mount}/creds/{role}", timeout=60
                )
        return f"{left} leases were left"
    roles = len(scene.database.dynamic_roles())
    if roles:
        return f"{roles} dynamic roles are left without a lease"
    preflight.check_healthy(scene)
    return ""
