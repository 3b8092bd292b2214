"""The load of a drill: the orders service and locust, as processes that die with the runner."""

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
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from drills.definition import Load
from drills.errors import SetupError
from drills.redact import Secrets
from infra.platform import Platform

_LOCUSTFILE = Path(__file__).parents[1] / "loadtests" / "locustfile.py"
_PR_SET_PDEATHSIG = 1


def target(platform: Platform, service_name: str) -> dict[str, Any]:
    """Return what a load process needs to know: addresses (proxied) and an auth method."""
    service = platform.service(service_name)
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
            "database": platform.postgres.database,
            "ca_pem": platform.postgres.ca_pem,
        },
    }


def _die_with_parent() -> None:
    """Ask Linux for SIGTERM when the runner dies, so that no load outlives it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class LoadProcesses:
    """Service and locust of one run. Start it from the main thread: Linux ties the death signal
    to the thread that forked."""

    def __init__(
        self, platform: Platform, load: Load, pool: str, folder: Path, secrets: Secrets
    ) -> None:
        self._platform = platform
        self._load = load
        self._pool = pool
        self._folder = folder
        self._secrets = secrets
        self._service: subprocess.Popen[bytes] | None = None
        self._locust: subprocess.Popen[bytes] | None = None
        self._closing = ExitStack()

    def start(self, *, seconds: float = 30, waiting: Callable[[], object] = lambda: None) -> None:
        """Start the service, wait until it serves, start locust against it.

        `waiting` is called while it waits; what it raises ends the wait. Raises `SetupError` when
        the service does not come up, with its last words; nothing is left running then.
        """
        try:
            port = self._start_service(seconds, waiting)
            self._start_locust(port)
        except BaseException:
            self.stop()
            raise

    def _pipe_for_secrets(self) -> int:
        reader, writer = os.pipe()

        def collect() -> None:
            with os.fdopen(reader, "r", encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    kind, _, value = line.rstrip("\n").partition("\t")
                    self._secrets.add(kind, value)

        threading.Thread(target=collect, name="secrets", daemon=True).start()
        return writer

    def _start_service(self, seconds: float, waiting: Callable[[], object]) -> int:
        secrets_fd = self._pipe_for_secrets()
        target_reader, target_writer = os.pipe()
        try:
            with os.fdopen(target_writer, "w") as writer:  # a few kB: fits into the pipe
                writer.write(json.dumps(target(self._platform, self._load.service)))
            log = self._closing.enter_context((self._folder / "service.log").open("wb"))
            self._service = subprocess.Popen(
                [
                    *(sys.executable, "-m", "loadtests.service"),
                    *("--pool", self._pool, "--pools", str(self._load.pools)),
                    *("--pool-size", str(self._load.pool_size), "--port", "0"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=(target_reader, secrets_fd),
                env={
                    **os.environ,
                    "LOADTESTS_TARGET": f"fd:{target_reader}",
                    "LOADTESTS_SECRETS_FD": str(secrets_fd),
                },
                start_new_session=True,  # Ctrl-C is the runner's to handle: it stops the load last
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - forks from the main thread
            )
        finally:
            os.close(target_reader)
            os.close(secrets_fd)
        return self._wait_until_ready(seconds, waiting)

    def _wait_until_ready(self, seconds: float, waiting: Callable[[], object]) -> int:
        assert self._service is not None  # noqa: S101
        assert self._service.stdout is not None  # noqa: S101
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._service.stdout, selectors.EVENT_READ)
            while time.monotonic() < deadline:
                waiting()
                if not selector.select(timeout=0.2):
                    continue
                line = self._service.stdout.readline()
                try:
                    return int(json.loads(line)["port"])
                except (ValueError, KeyError):
                    self._service.wait(timeout=5)
                    raise SetupError(
                        f"the {self._load.service} service did not start "
                        f"(status {self._service.returncode}): {self._last_words('service.log')}"
                    ) from None
        words = self._last_words("service.log")
        raise SetupError(f"the service was not ready within {seconds:g} s: {words}")

    def _start_locust(self, port: int) -> None:
        log = self._closing.enter_context((self._folder / "load.log").open("wb"))
        self._locust = subprocess.Popen(
            [
                *(sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE), "--headless"),
                *("--users", str(self._load.users), "--spawn-rate", str(self._load.users)),
                *("--host", f"http://127.0.0.1:{port}", "--stop-timeout", "8", "--only-summary"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={
                **os.environ,
                "LOADTESTS_REQUEST_LOG": str(self._folder / "requests.jsonl"),
            },
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - forks from the main thread
        )

    def _last_words(self, name: str) -> str:
        try:
            lines = (self._folder / name).read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return self._secrets.redact(lines[-1]) if lines else f"see {self._folder / name}"

    def ended(self) -> str | None:
        """Return which process has ended before its time, and with what status; None if none."""
        for name, process in (("service", self._service), ("locust", self._locust)):
            if process is not None and process.poll() is not None:
                return f"{name} ended with status {process.returncode}"
        return None

    def stop_locust(self) -> int | None:
        """Stop the requests; return locust's exit status. Its users finish what they began."""
        return _end(self._locust, 20)

    def stop(self) -> int | None:
        """Stop the requests, then the service, which gives its leases back."""
        _end(self._locust, 20)
        status = _end(self._service, 20)
        if self._service is not None and self._service.stdout is not None:
            self._service.stdout.close()
        self._closing.close()
        return status


def _end(process: subprocess.Popen[bytes] | None, seconds: float) -> int | None:
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
