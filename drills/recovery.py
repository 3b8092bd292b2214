"""Undoing what was injected: by the runner, by its watchdog, by `drill recover`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from drills.database import Database
from drills.faults.base import Fault, Scene
from drills.faults.registry import make
from drills.redact import Secrets
from drills.undo import Pending, UndoLog, only_drill
from drills.vault import Vault
from infra.cluster.driver import open_cluster
from infra.platform import Platform

Say = Callable[[str], None]

#: `drill recover` waits so long (seconds) for a watchdog that is at the same work.
_PATIENCE = 120.0


@contextlib.contextmanager
def open_scene(
    platform: Platform, secrets: Secrets, observe: Callable[..., Any]
) -> Iterator[Scene]:
    """Lend what faults may reach, with the platform's own secrets made known for redaction."""
    secrets.add("token", platform.vault.operator_token.get_secret_value())
    secrets.add("password", platform.postgres.observer_password.get_secret_value())
    for key in platform.vault.unseal_keys:
        secrets.add("unseal-key", key.get_secret_value())
    for service in platform.services:
        secrets.add("secret-id", service.auth.secret_id.get_secret_value())
    scene = Scene(
        platform=platform,
        cluster=open_cluster(platform),
        vault=Vault(platform),
        database=Database(platform),
        secrets=secrets,
        observe=observe,
    )
    try:
        yield scene
    finally:
        scene.vault.close()
        scene.database.close()


def undo(fault: Fault[Any], pending: Pending, scene: Scene) -> list[str]:
    """Undo and verify one fault; return the problems, one line each. Never raises."""
    try:
        fault.undo(scene, pending.record)
        return fault.verify(scene, pending.record)
    except Exception as error:  # noqa: BLE001 - told to the user, with the way to do it by hand
        return [f"{fault.name} could not be undone: {type(error).__name__}: {error}"]


def undo_entry(entry: Pending, scene: Scene) -> list[str]:
    """Undo and verify what another process injected; return the problems, each with the way to
    do it by hand. Never raises; takes nothing off the undo log."""
    try:
        fault = make(entry.fault, entry.params)
    except Exception as error:  # noqa: BLE001 - a fault whose package has gone, say
        return [f"{entry.fault} of {entry.run} can't be undone here: {error} ({entry.record})"]
    by_hand = fault.by_hand(entry.record)
    return [
        scene.secrets.redact(f"{problem}; by hand: {by_hand}")
        for problem in undo(fault, entry, scene)
    ]


def undo_entries(
    log: UndoLog, entries: list[Pending], scene: Scene, undone: Callable[[Pending], object]
) -> list[str]:
    """Undo entries, last one first; return the problems that are left.

    What is undone is taken off the log, and `undone` is told. One fault may keep another from
    being verified (a dead node, a step-down that waits for a whole cluster): as long as a pass
    undoes something, the rest is tried again.
    """
    left = list(reversed(entries))
    while True:
        problems: list[str] = []
        still: list[Pending] = []
        for entry in left:
            found = undo_entry(entry, scene)
            if found:
                problems += found
                still.append(entry)
            else:
                log.remove(entry)
                undone(entry)
        if not still or len(still) == len(left):
            return problems
        left = still


def recover(platform: Platform, *, say: Say, patience: float = _PATIENCE) -> list[str]:
    """Undo what a dead run left behind; return the problems.

    Waits up to `patience` seconds for another one that undoes. Raises `SetupError` when the
    stack's lock is held longer than that.
    """
    log = UndoLog(platform.drills.state_dir)
    with only_drill(platform.drills.state_dir, part="recover", patience=patience):
        pending = log.pending()
        if not pending:
            say("nothing was left behind")
            return []
        with open_scene(platform, Secrets(), lambda *_a, **_k: None) as scene:
            return undo_entries(
                log, pending, scene, lambda entry: say(f"undid {entry.fault} of {entry.run}")
            )
