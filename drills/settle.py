"""After the load has ended: wait until servers agree on what is left, and take it down."""

from __future__ import annotations

import contextlib

from drills.errors import VaultRefused, VaultUnreachable
from drills.faults.base import Scene
from drills.faults.node_kill import healthy_voters
from drills.probes.postgres_roles import live_leases
from infra.waiting import WaitedTooLong, wait_for


def settle(scene: Scene, *, seconds: float = 15) -> None:
    """Observe the sample `settled` once no role is without a lease, or `seconds` are over.

    Revocations may still be on their way when the last client has gone; what is an orphan after
    that is one.
    """
    last: dict[str, int | None] = {"roles": None, "leases": None, "orphan_roles": None}

    def even() -> bool:
        roles = len(scene.database.dynamic_roles())
        try:
            leases = live_leases(scene.platform, scene.vault, seconds=1)
        except (VaultRefused, VaultUnreachable):
            last.update(roles=roles, leases=None, orphan_roles=None)
            return False
        last.update(roles=roles, leases=leases, orphan_roles=max(0, roles - leases))
        return roles <= leases

    # When it is not even in time, the sample says so, and the bound orphan_roles judges it.
    with contextlib.suppress(WaitedTooLong):
        wait_for(even, "every role having a lease", seconds=seconds, every=0.25)
    scene.observe("settled", **last, healthy_voters=healthy_voters(scene))
