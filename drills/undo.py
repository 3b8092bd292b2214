"""The undo log: on disk before a fault is injected, gone once its undoing has been verified."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal

import psutil

from drills.errors import SetupError
from drills.record import write_atomically
from infra.waiting import WaitedTooLong, wait_for


@dataclass(frozen=True)
class Pending:
    """A fault that has been, or was about to be, injected. Holds no secret."""

    run: str
    fault: str
    params: dict[str, Any]
    record: dict[str, Any]


class UndoLog:
    """`undo.json` in the drills' state folder."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "undo.json"

    def pending(self) -> list[Pending]:
        """Return what is still to be undone, in the order of injection.

        Raises `SetupError` when the file can't be read.
        """
        try:
            return [Pending(**entry) for entry in json.loads(self._path.read_text())]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, OSError) as error:
            raise SetupError(f"{self._path}: can't be read ({type(error).__name__})") from None

    def add(self, entry: Pending) -> None:
        """Put one more on disk; it is there, synced, when this returns."""
        self._write([*self.pending(), entry])

    def remove(self, entry: Pending) -> None:
        """Take one off, after its undoing has been verified."""
        self._write([other for other in self.pending() if other != entry])

    def _write(self, entries: list[Pending]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if entries:
            write_atomically(self._path, json.dumps([asdict(entry) for entry in entries]))
        else:
            self._path.unlink(missing_ok=True)


#: A look at the lock (`lock_holder`) takes it for an instant; a drill that starts just then must
#: not be refused for it.
_GLANCE_SECONDS = 0.3
#: Create times of one process may read differently after the clock was set.
_SAME_PROCESS_SECONDS = 2.0

Part = Literal["drill", "recover", "watchdog"]


@dataclass(frozen=True)
class Holder:
    """Who holds the stack's lock. `created` (Unix seconds) tells it from a later process with
    the same pid."""

    pid: int
    created: float
    part: Part

    @classmethod
    def this_process(cls, part: Part) -> Holder:
        """Return what this process writes into the lock."""
        return cls(os.getpid(), psutil.Process().create_time(), part)

    def process(self) -> psutil.Process | None:
        """Return the process, None when it is gone and another one has its pid."""
        try:
            found = psutil.Process(self.pid)
            same = abs(found.create_time() - self.created) < _SAME_PROCESS_SECONDS
        except psutil.Error:
            return None
        return found if same else None

    def __str__(self) -> str:
        """Return one line for a refusal: who it is, and what to do."""
        if self.part == "watchdog":
            return (
                f"the watchdog of a run that died is undoing its faults (process {self.pid}): "
                "wait for its end"
            )
        if self.part == "recover":
            return f"`drill recover` is at work on this stack (process {self.pid}): wait for it"
        return (
            f"a drill is running on this stack already (process {self.pid}): "
            "wait for its end, or `drill stop` it"
        )


def _read_holder(lock: IO[str]) -> Holder:
    lock.seek(0)
    try:
        return Holder(**json.loads(lock.read()))
    except (ValueError, TypeError):  # just taken, not written yet
        return Holder(0, 0.0, "drill")


def lock_holder(state_dir: Path) -> Holder | None:
    """Return who holds the stack's lock now, None when nobody does."""
    try:
        lock = (state_dir / "lock").open("r")
    except FileNotFoundError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read_holder(lock)
    return None


@contextmanager
def only_drill(
    state_dir: Path, *, part: Part = "drill", patience: float = _GLANCE_SECONDS
) -> Iterator[None]:
    """Hold the stack's lock: one drill at a time. The kernel frees it when the holder dies.

    Waits up to `patience` seconds for one that undoes, but not for a drill that runs. Raises
    `SetupError` when another one has it; the message says who.
    """
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state_dir / "lock").open("a+") as lock:

        def taken() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        glance = time.monotonic() + _GLANCE_SECONDS

        def in_vain() -> str | None:
            over = time.monotonic() > glance
            return "a drill runs" if over and _read_holder(lock).part == "drill" else None

        try:
            wait_for(taken, "the stack's lock", seconds=patience, still_possible=in_vain)
        except WaitedTooLong:
            raise SetupError(str(_read_holder(lock))) from None
        lock.truncate(0)
        lock.write(json.dumps(asdict(Holder.this_process(part))))
        lock.flush()
        yield
