"""Services that ran before the drill: locust drives them, nothing else is started or stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from drills.errors import SetupError
from drills.loads.locustfile import LocustfileLoad
from drills.loads.processes.base import LoadProcesses
from drills.loads.processes.service import LOCUSTFILE
from drills.loads.url import UrlLoad
from drills.redact import Secrets
from infra.waiting import WaitedTooLong, wait_for

#: Logs the requests of any locust file, through locust's own events.
RECORDING = LOCUSTFILE.with_name("recording.py")


class ForeignProcesses(LoadProcesses):
    """Locust alone. The load is up once its first request is in the request log."""

    def wait_until_warm(self, seconds: float, waiting: Callable[[], object]) -> None:
        """Wait for the first request. Raises `SetupError` when none comes, or locust ends."""
        log = self.folder / "requests.jsonl"

        def warm() -> bool:
            waiting()
            if problem := self.ended():
                raise SetupError(f"{problem}: {self.last_words('load.log')}")
            return log.exists() and log.stat().st_size > 0

        try:
            wait_for(warm, "the load's first request", seconds=seconds, every=0.1)
        except WaitedTooLong:
            raise SetupError(
                f"the load has sent no request within {seconds:g} s: {self.last_words('load.log')}"
            ) from None


class UrlProcesses(ForeignProcesses):
    """Locust with a user of our own that sends the load's requests."""

    def __init__(self, load: UrlLoad, folder: Path, secrets: Secrets) -> None:
        super().__init__(folder, secrets)
        self._load = load

    def bring_up(self, seconds: float, waiting: Callable[[], object]) -> None:
        """Start locust."""
        asked = {
            "requests": list(self._load.asked),
            "body": self._load.body,
            "wait": self._load.wait,
        }
        self.spawn_locust(
            [LOCUSTFILE],
            users=self._load.users,
            host=self._load.host,
            environment={
                "LOADTESTS_USER_CLASS": "UrlUser",
                "LOADTESTS_REQUESTS": json.dumps(asked),
            },
        )
        self.wait_until_warm(seconds, waiting)


class LocustfileProcesses(ForeignProcesses):
    """Locust with a file of the user's, and one of ours that logs what it sends."""

    def __init__(self, load: LocustfileLoad, folder: Path, secrets: Secrets) -> None:
        super().__init__(folder, secrets)
        self._load = load

    def bring_up(self, seconds: float, waiting: Callable[[], object]) -> None:
        """Start locust."""
        self.spawn_locust(
            [Path(self._load.locustfile), RECORDING],
            users=self._load.users,
            host=self._load.host,
            environment={},
        )
        self.wait_until_warm(seconds, waiting)
