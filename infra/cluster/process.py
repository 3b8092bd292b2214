"""Detached server processes: started, found again by their pid file, stopped.

A pid alone proves nothing (the kernel gives it out again), so a process counts as ours only while
its command line still holds the `mark` that was recorded with the pid.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.waiting import WaitedTooLong, wait_for


class ProcessError(Exception):
    """A server did not start or stop. The message is one line and names its log."""


@dataclass(frozen=True)
class ServerProcess:
    """One server: `folder/<name>.pid` and `folder/<name>.log` are its own.

    `mark` is an argument of its command line that no other process has (a data folder, a
    configuration file).
    """

    name: str
    folder: Path
    mark: str

    @property
    def pid_file(self) -> Path:
        """Where its pid is recorded."""
        return self.folder / f"{self.name}.pid"

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder / f"{self.name}.log"

    def find(self) -> psutil.Process | None:
        """Return the running process, or None when it is not running (a zombie is not)."""
        try:
            recorded = json.loads(self.pid_file.read_text())
            process = psutil.Process(recorded["pid"])
            deadline = time.monotonic() + 1
            while process.status() != psutil.STATUS_ZOMBIE:
                arguments = process.cmdline()
                if self.mark in arguments:
                    return process
                # In the middle of an exec (setpriv's into postgres) it has none for a moment.
                if arguments or time.monotonic() > deadline:
                    return None
                time.sleep(0.005)
        except (OSError, ValueError, KeyError, psutil.Error):
            pass
        return None

    def start(
        self, command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> int:
        """Start it detached, unless it runs already; return its pid."""
        running = self.find()
        if running is not None:
            return int(running.pid)
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=cwd,
                env=env,
                start_new_session=True,  # outlives the plugin that starts it, and its Ctrl-C
            )
        draft = self.pid_file.with_suffix(".pid.draft")
        draft.write_text(json.dumps({"pid": process.pid, "command": command[0]}))
        draft.replace(self.pid_file)
        return process.pid

    def stop(self, *, sign: signal.Signals = signal.SIGTERM, seconds: float = 10) -> None:
        """Send `sign`, wait, and SIGKILL what is still there after `seconds`; no pid file remains.

        Raises `ProcessError` when it survives even that.
        """
        process = self.find()
        if process is not None:
            family = [process, *process.children(recursive=True)]
            process.send_signal(sign)
            if not _wait_until_gone([process], seconds):
                process.kill()
            if not _wait_until_gone(family, 5):
                for left in family:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        left.kill()
                if not _wait_until_gone(family, 5):
                    raise ProcessError(f"{self.name}: process {process.pid} can't be killed")
        self.pid_file.unlink(missing_ok=True)

    def kill(self) -> bool:
        """SIGKILL it, keep its pid file; return whether it was running."""
        process = self.find()
        if process is None:
            return False
        process.kill()
        _wait_until_gone([process], 5)
        return True

    def last_words(self, lines: int = 3) -> str:
        """Return the end of its log in one line, for an error message."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return f"no log at {self.log}"
        return f"{' | '.join(text.strip().splitlines()[-lines:])} (log: {self.log})"


def _wait_until_gone(processes: list[psutil.Process], seconds: float) -> bool:
    """Return whether all have ended within `seconds`. A zombie has: its parent may be a bare
    init that is slow to reap it, or never does."""

    def gone() -> bool:
        for process in processes:
            try:
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    return False
                process.wait(timeout=0)  # reaps it, if it is ours to reap
            except (psutil.NoSuchProcess, psutil.TimeoutExpired):
                continue
        return True

    try:
        return wait_for(gone, "the end of a process", seconds=seconds, every=0.01)
    except WaitedTooLong:
        return False


def taken_ports(ports: list[int]) -> list[int]:
    """Return those of `ports` on 127.0.0.1 that can't be listened on."""
    taken = []
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                taken.append(port)
    return taken
