"""TTLs of a role for as long as a drill runs: set before its load starts, put back after it.

It is the fault `role-ttl` outside the phase `fault`, and undone like one: from a record on disk, by
the watchdog or `drill recover` should the runner die.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from drills.faults.base import Scene
from drills.faults.role_ttl import RoleTtl, RoleTtlParams
from drills.loads import Load
from drills.loads.terms import TermsLoad
from drills.recovery import undo_entry
from drills.undo import Pending, UndoLog
from drills.watchdog import Watchdog


def seconds_of(load: Load, default_ttl: int, max_ttl: int) -> tuple[int, int]:
    """Return (ttl, max_ttl) of new leases under this load; the role's own unless it sets them."""
    if isinstance(load, TermsLoad) and load.ttl is not None and load.max_ttl is not None:
        return int(load.ttl), int(load.max_ttl)
    return default_ttl, max_ttl


@contextmanager
def lease_terms(
    load: Load, scene: Scene, log: UndoLog, run: str, *, watchdog: Watchdog, left: list[str]
) -> Iterator[None]:
    """Let new leases of the load's role live as long as the load wants, if it wants anything.

    What could not be put back is added to `left`, one line each, and stays on the undo log.
    """
    service = load.service_of(scene.platform)
    own = (service.default_ttl_seconds, service.max_ttl_seconds)
    ttl, max_ttl = seconds_of(load, *own)
    if (ttl, max_ttl) == own:
        yield
        return
    params = RoleTtlParams(role=service.role, ttl_seconds=ttl, max_ttl_seconds=max_ttl)
    fault = RoleTtl(params)
    entry = Pending(run, fault.name, params.model_dump(), fault.prepare(scene))
    watchdog.wait_until_watching()
    log.add(entry)  # on disk before anything is touched
    try:
        fault.inject(scene, entry.record)
        yield
    finally:
        problems = undo_entry(entry, scene, lambda _entry: fault)
        if not problems:
            log.remove(entry)
        left += problems
