"""What the loads' processes share: how one is started, told its secrets, watched and ended."""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from drills.errors import SetupError
from drills.redact import Secrets
from infra.platform import Platform, Service

_PR_SET_PDEATHSIG = 1
Child = subprocess.Popen[bytes]


def target(platform: Platform, service: Service) -> dict[str, Any]:
    """Return what a load process needs to know: addresses (proxied) and an auth method."""
    return {
        "vault_addresses": [node.proxied_address for node in platform.vault.nodes],
        "vault_ca_pem": platform.vault.ca_pem,
        "auth": {
            "method": "approle",
            "mount": service.auth.mount,
            "role_id": service.auth.role_id,
            "secret_id": service.auth.secret_id.get_secret_value(),
        },
        "database_mount": platform.vault.database_mount,
        "role": service.role,
        "postgres": {
            "host": platform.postgres.proxied_host,
            "port": platform.postgres.proxied_port,
            "database": service.database,
            "table_schema": service.name,
            "ca_pem": platform.postgres.ca_pem,
        },
    }


def _die_with_parent() -> None:
    """Ask Linux for SIGTERM when the runner dies, so that no load outlives it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class LoadProcesses(ABC):
    """The processes of one run. Start them from the main thread: Linux ties the death signal to
    the thread that forked."""

    def __init__(self, folder: Path, secrets: Secrets) -> None:
        self.folder = folder
        self.secrets = secrets
        self.requests: Child | None = None
        self._named: dict[str, Child] = {}
        self._closing = ExitStack()

    def start(self, *, seconds: float = 120, waiting: Callable[[], object] = lambda: None) -> None:
        """Start what makes the load, and wait until it does.

        `waiting` is called while it waits; what it raises ends the wait. Raises `SetupError` when
        the load does not come up, with its last words; nothing is left running then.
        """
        try:
            self.bring_up(seconds, waiting)
        except BaseException:
            self.stop()
            raise

    @abstractmethod
    def bring_up(self, seconds: float, waiting: Callable[[], object]) -> None:
        """Start the processes; the one that sends the requests becomes `self.requests`."""

    def ended(self) -> str | None:
        """Return which process has ended before its time, and with what status; None if none."""
        for name, process in self._named.items():
            if process.poll() is not None:
                return f"{name} ended with status {process.returncode}"
        return None

    def stop_requests(self) -> int | None:
        """Stop the requests; return the exit status of what sent them. What was begun is finished
        first, within 20 s."""
        return end(self.requests, 20)

    def stop(self) -> None:
        """Stop the requests, then all else, which gives its leases back."""
        self.stop_requests()
        for process in self._named.values():
            end(process, 20)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        self._closing.close()

    # -- for the kinds ------------------------------------------------------------------------

    def spawn(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        log: str,
        environment: dict[str, str],
        pass_fds: Sequence[int] = (),
        speaks: bool = False,
        hears: bool = False,
    ) -> Child:
        """Start one process of this Python. What it writes goes to the file `log` of the run
        folder, stdout to a pipe where it `speaks`; `hears`: its stdin is a pipe, else empty."""
        file = self._closing.enter_context((self.folder / log).open("wb"))
        child = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE if hears else subprocess.DEVNULL,
            stdout=subprocess.PIPE if speaks else file,
            stderr=file,
            pass_fds=pass_fds,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C is the runner's to handle: it stops the load last
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - forks from the main thread
        )
        self._named[name] = child
        return child

    def spawn_with_target(
        self,
        name: str,
        arguments: Sequence[str],
        told: dict[str, Any],
        *,
        log: str,
        environment: dict[str, str] | None = None,
        hears: bool = False,
    ) -> Child:
        """Start a process that is told its target, and tells its secrets, through pipes: neither
        arguments nor the environment may show one."""
        secrets_fd = self._pipe_for_secrets()
        target_reader, target_writer = os.pipe()
        try:
            with os.fdopen(target_writer, "w") as writer:  # a few kB: fits into the pipe
                writer.write(json.dumps(told))
            return self.spawn(
                name,
                arguments,
                log=log,
                environment={
                    "LOADTESTS_TARGET": f"fd:{target_reader}",
                    "LOADTESTS_SECRETS_FD": str(secrets_fd),
                    **(environment or {}),
                },
                pass_fds=(target_reader, secrets_fd),
                speaks=True,
                hears=hears,
            )
        finally:
            os.close(target_reader)
            os.close(secrets_fd)

    def _pipe_for_secrets(self) -> int:
        reader, writer = os.pipe()

        def collect() -> None:
            with os.fdopen(reader, "r", encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    kind, _, value = line.rstrip("\n").partition("\t")
                    self.secrets.add(kind, value)

        threading.Thread(target=collect, name="secrets", daemon=True).start()
        return writer

    def line_of(
        self, name: str, seconds: float, waiting: Callable[[], object], *, log: str
    ) -> dict[str, Any]:
        """Return the JSON object that a process says next on its stdout.

        Raises `SetupError` when it says nothing in time, or ends, with its last words.
        """
        child = self._named[name]
        assert child.stdout is not None  # noqa: S101 - it was spawned to speak
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while time.monotonic() < deadline:
                waiting()
                if not selector.select(timeout=0.2):
                    continue
                line = child.stdout.readline()
                try:
                    said: dict[str, Any] = json.loads(line)
                except ValueError:
                    status = end(child, 5)
                    raise SetupError(
                        f"the {name} did not start (status {status}): {self.last_words(log)}"
                    ) from None
                return said
        raise SetupError(f"the {name} was not ready within {seconds:g} s: {self.last_words(log)}")

    def spawn_locust(
        self, files: Sequence[Path], *, users: int, host: str | None, environment: dict[str, str]
    ) -> None:
        """Start locust with these files; its requests go to the run folder's request log."""
        self.requests = self.spawn(
            "locust",
            [
                *("locust", "-f", ",".join(map(str, files)), "--headless", "--only-summary"),
                *("--users", str(users), "--spawn-rate", str(users), "--stop-timeout", "8"),
                *(("--host", host) if host else ()),
            ],
            log="load.log",
            environment={
                "LOADTESTS_REQUEST_LOG": str(self.folder / "requests.jsonl"),
                **environment,
            },
        )

    def last_words(self, log: str) -> str:
        """Return the last line of a process's log, secrets struck out."""
        try:
            lines = (self.folder / log).read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return self.secrets.redact(lines[-1]) if lines else f"see {self.folder / log}"


def end(process: Child | None, seconds: float) -> int | None:
    """Ask a process to end, wait `seconds`, kill it then; return its status."""
    if process is None:
        return None
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=5)
    return process.returncode
