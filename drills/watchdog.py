"""The watchdog: a process that undoes what its runner injected, should the runner die.

It runs before the first fault does. Runner and watchdog share a pipe: the platform (which holds
secrets, so it goes neither through arguments nor through a file) comes first, then the limits of
what stands. The kernel closes the pipe when the runner dies, however it dies, and that is the
heartbeat: no interval to tune, nothing to miss. A runner that lives but is overdue (stopped, hung)
is ended, since two that inject and undo at once can't be told apart afterwards.

Whoever undoes holds the stack's lock, so the watchdog and `drill recover` never work at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from pydantic import BaseModel, SecretStr

from drills.errors import SetupError
from drills.judge import judge_folder
from drills.record import RecordError, RunFolder
from drills.recovery import InFolder, open_scene, undo_entries
from drills.redact import Secrets
from drills.undo import Holder, Pending, UndoLog, only_drill
from infra.platform import Platform

DEAD = "the runner died"
OVERDUE = "the runner was overdue, and was ended"
#: How long (seconds) another one may hold the lock.
_LOCK_PATIENCE = 300.0


class Watchdog:
    """The runner's end. As a context: started on entry, sent home on exit.

    It is not sent home by an exception: something may stand that nobody came to undo.
    """

    def __init__(self, platform: Platform, run_folder: Path) -> None:
        self._platform = platform
        self._run_folder = run_folder
        self._process: subprocess.Popen[bytes] | None = None
        self._told_so = False

    def __enter__(self) -> Self:
        self._platform.drills.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._platform.drills.state_dir / "watchdog.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "drills.watchdog"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # neither Ctrl-C nor the terminal's end is for it
            )
        self._tell(
            {
                "platform": revealed(self._platform),
                "run_folder": str(self._run_folder),
                "runner": vars(Holder.this_process("drill")),
            }
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None  # noqa: S101
        if error is None:
            self._tell({"done": True})
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # what it never read is still in there
                    pipe.close()
        if error is not None:
            return  # it undoes what the runner could not, as soon as the runner lets go of the lock
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            # Nothing stands any more that it could undo.
            self._process.kill()
            self._process.wait(timeout=5)

    def wait_until_watching(self, *, seconds: float = 90) -> None:
        """Wait for its word that it watches. Raises `SetupError` when it does not come."""
        if self._told_so:
            return
        assert self._process is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        if not ready or not self._process.stdout.readline():
            raise SetupError(
                f"the watchdog did not start within {seconds:g} s, and no fault may stand without "
                f"one: see {self._platform.drills.state_dir / 'watchdog.log'}"
            )
        self._told_so = True

    def watches(self) -> bool:
        """Return whether it is there."""
        return self._process is not None and self._process.poll() is None

    def limit(self, seconds: float | None) -> None:
        """Say that the runner will be heard of within `seconds`; None: nothing stands."""
        self._tell({"until": None if seconds is None else time.monotonic() + seconds})

    def _tell(self, what: dict[str, Any]) -> None:
        assert self._process is not None  # noqa: S101
        assert self._process.stdin is not None  # noqa: S101
        try:
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # it has died: `watches` says so


def revealed(model: BaseModel) -> Any:
    """Return the model as JSON can hold it, secrets in clear: for a pipe, never for a file."""

    def clear(value: Any) -> Any:
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        if isinstance(value, dict):
            return {key: clear(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [clear(each) for each in value]
        return str(value) if isinstance(value, Path) else value

    return clear(model.model_dump())


# -- the watchdog's own process -------------------------------------------------------------------


class Orders:
    """The pipe's other end: lines of JSON, read with a deadline."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""

    def next(self, until: float | None) -> dict[str, Any] | None:
        """Return the next order, `{}` once the runner has gone, None at the time `until`."""
        while b"\n" not in self._rest:
            wait = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([self._descriptor], [], [], wait)[0]:
                return None
            data = os.read(self._descriptor, 65536)
            if not data:
                return {}
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        order: dict[str, Any] = json.loads(line)
        return order


def wait_for_need(orders: Orders) -> str | None:
    """Return why the watchdog has to undo; None when the runner is done and it may go."""
    until: float | None = None
    while True:
        order = orders.next(until)
        if order is None:
            return OVERDUE
        if not order:
            return DEAD
        if order.get("done"):
            return None
        until = order["until"]


def end_process(holder: Holder) -> None:
    """SIGKILL the runner, unless it is gone already. Its lock says when it has ended."""
    process = holder.process()
    if process is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def undo_what_stands(platform: Platform, run_folder: Path, why: str) -> list[str]:
    """Undo every entry of this run; return the problems that are left.

    The run folder says so too, if it can still be written. Nothing is touched when nothing stands.
    Raises `SetupError` when another one has held the stack's lock for `_LOCK_PATIENCE` seconds.
    """
    log = UndoLog(platform.drills.state_dir)
    secrets = Secrets()
    with contextlib.ExitStack() as closing:
        lock = only_drill(platform.drills.state_dir, part="watchdog", patience=_LOCK_PATIENCE)
        closing.enter_context(lock)
        standing = _standing(log, run_folder.name)
        if not standing:
            return []
        folder: RunFolder | None = None
        with contextlib.suppress(RecordError):  # undoing comes before telling of it
            folder = closing.enter_context(RunFolder(run_folder, redact=secrets.redact))
        scene = closing.enter_context(open_scene(platform, secrets, lambda *_a, **_k: None))
        notes = InFolder(folder, by="watchdog") if folder else None
        problems = undo_entries(log, standing, scene, notes=notes)
        if folder:
            outcome = "undo-failed" if problems else "failed"
            folder.event(
                "run-ended", outcome=outcome, error=f"{why}; the watchdog undid what stood"
            )
    judge_folder(run_folder)
    return problems


def _standing(log: UndoLog, run: str) -> list[Pending]:
    return [entry for entry in log.pending() if entry.run == run]


def main() -> None:
    """Watch the runner at the other end of stdin. Ends when it is done, or after undoing."""
    # Whoever asks a whole group to end asks the runner too, which then undoes; until it is done
    # this process must be there. Only SIGKILL ends it early.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    orders = Orders(sys.stdin.fileno())
    first = orders.next(None)
    if not first:
        return
    platform = Platform.model_validate(first["platform"])
    run_folder, runner = Path(first["run_folder"]), Holder(**first["runner"])
    print("watching", flush=True)  # noqa: T201 - the runner waits for this line
    why = wait_for_need(orders)
    if why is None:
        return
    if why is OVERDUE:
        end_process(runner)
    for problem in undo_what_stands(platform, run_folder, why):
        sys.stderr.write(f"{problem}\n")


if __name__ == "__main__":
    main()
