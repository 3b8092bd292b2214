"""The undo log: on disk before a fault is injected, gone once its undoing has been verified."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drills.errors import SetupError
from drills.record import write_atomically


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


@contextmanager
def only_drill(state_dir: Path) -> Iterator[None]:
    """Hold the stack's lock: one drill at a time. The kernel frees it when the holder dies.

    Raises `SetupError` when another one has it.
    """
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = state_dir / "lock"
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise SetupError(
                f"a drill is running on this stack already (process {holder}): wait for its end"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
