"""The orders service as a child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

from loadtests.errors import LoadtestError
from loadtests.target import VARIABLE, Target

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


class ServiceStartError(LoadtestError):
    """Raised when the service does not come up; its own line on stderr says why."""


class ServiceProcess:
    """`python -m loadtests.service`, started and stopped by whoever has no service of his own."""

    def __init__(self, target: Target, *arguments: str) -> None:
        """Start it and wait until it serves (60 s at most). Raises `ServiceStartError`."""
        # the target goes through a pipe: neither arguments nor the environment may show a secret
        reading, writing = os.pipe()
        secrets = os.environ.get("LOADTESTS_SECRETS_FD")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "loadtests.service", *arguments],
                stdout=subprocess.PIPE,
                text=True,
                pass_fds=(reading, *([int(secrets)] if secrets else [])),
                env={**os.environ, VARIABLE: f"fd:{reading}"},
            )
            os.close(reading)
            reading = -1
            os.write(writing, target.reveal().encode())
        finally:
            os.close(writing)
            if reading >= 0:
                os.close(reading)
        self.address = f"http://127.0.0.1:{self._port()}"

    def _port(self) -> int:
        assert self._process.stdout is not None  # noqa: S101 - PIPE above
        late = threading.Timer(_START_SECONDS, self._process.kill)
        late.name = "orders-service-start"
        late.start()
        try:
            line = self._process.stdout.readline()
        finally:
            late.cancel()
        if not line:
            status = self._process.wait()
            raise ServiceStartError(
                f"the orders service did not start (exit {status}): see its line above"
            )
        return int(json.loads(line)["port"])

    @property
    def exit_status(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def stop(self) -> int:
        """Let it close its pools and end; return its exit status. After 20 s it is killed."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
