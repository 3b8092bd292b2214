"""Undoing what was injected: by the runner, by its watchdog, by `drill recover`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from drills.database import Database
from drills.faults.base import Fault, Scene
from drills.faults.registry import make
from drills.record import RunFolder
from drills.redact import Secrets
from drills.undo import Pending, UndoLog, only_drill
from drills.vault import Vault
from infra.cluster.driver import open_cluster
from infra.platform import Platform

Say = Callable[[str], None]

#: `drill recover` waits so long (seconds) for a watchdog that is at the same work.
_PATIENCE = 120.0
#: Passes over what is left that undo nothing, one after the other, before it is given up.
_VAIN_PASSES = 2


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


class Notes:
    """What is told of an undoing while it goes on; this one keeps it to itself."""

    def undoing(self, entry: Pending) -> None:
        """Tell that it is tried now: at least once an entry, more often when it fails."""

    def undone(self, entry: Pending, problems: list[str]) -> None:
        """Tell how that try ended: undone and verified, or the problems, one line each."""


def made_anew(entry: Pending) -> Fault[Any]:
    """Return the fault of an entry that another process wrote. Raises `SetupError`."""
    return make(entry.fault, entry.params)


def undo_entry(
    entry: Pending, scene: Scene, fault_of: Callable[[Pending], Fault[Any]] = made_anew
) -> list[str]:
    """Undo and verify one entry; return the problems, each with the way to do it by hand.
    Never raises; takes nothing off the undo log."""
    try:
        fault = fault_of(entry)
    except Exception as error:  # noqa: BLE001 - a fault whose package has gone, say
        return [f"{entry.fault} of {entry.run} can't be undone here: {error} ({entry.record})"]
    try:
        fault.undo(scene, entry.record)
        problems = fault.verify(scene, entry.record)
    except Exception as error:  # noqa: BLE001 - told to the user, with the way to do it by hand
        problems = [f"{fault.name} could not be undone: {type(error).__name__}: {error}"]
    by_hand = fault.by_hand(entry.record)
    return [scene.secrets.redact(f"{problem}; by hand: {by_hand}") for problem in problems]


def undo_entries(
    log: UndoLog,
    entries: list[Pending],
    scene: Scene,
    *,
    notes: Notes | None = None,
    fault_of: Callable[[Pending], Fault[Any]] = made_anew,
) -> list[str]:
    """Undo entries (in the order of injection), last one first; return the problems left.

    The one way that runner, watchdog and `drill recover` undo by. Each entry is tried whatever
    becomes of the others, and what is undone is taken off the log. One fault may keep another
    from being verified (a dead node, a step-down that waits for a whole cluster), and a server
    that has just been started may be slow to answer: all that is left is tried again, until
    `_VAIN_PASSES` in a row have undone nothing.
    """
    notes = notes or Notes()
    left, vain = list(reversed(entries)), 0
    problems: list[str] = []
    while left and vain < _VAIN_PASSES:
        problems, still = [], []
        for entry in left:
            notes.undoing(entry)
            found = undo_entry(entry, scene, fault_of)
            if found:
                problems += found
                still.append(entry)
            else:
                log.remove(entry)
            notes.undone(entry, found)
        vain = vain + 1 if len(still) == len(left) else 0
        left = still
    return problems


class InFolder(Notes):
    """Writes both as events of the run; `more` are fields of theirs, such as who it is."""

    def __init__(self, folder: RunFolder, **more: Any) -> None:
        self._folder = folder
        self._more = more

    def undoing(self, entry: Pending) -> None:
        """Write `fault-undoing`."""
        self._folder.event("fault-undoing", fault=entry.fault, **self._more)

    def undone(self, entry: Pending, problems: list[str]) -> None:
        """Write `fault-undone`."""
        verified = not problems
        self._folder.event(
            "fault-undone", fault=entry.fault, verified=verified, problems=problems, **self._more
        )


class _Said(Notes):
    """Tells a person what has been undone."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def undone(self, entry: Pending, problems: list[str]) -> None:
        """Say it; what could not be undone is the caller's to tell."""
        if not problems:
            self._say(f"undid {entry.fault} of {entry.run}")


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
            return undo_entries(log, pending, scene, notes=_Said(say))
