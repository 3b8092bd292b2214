"""The demo service with a pool of choice, and locust against it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from drills.loads.processes.base import LoadProcesses, target
from drills.loads.service import ServiceLoad
from drills.redact import Secrets
from infra.platform import Platform, Service

LOCUSTFILE = Path(__file__).parents[3] / "loadtests" / "locustfile.py"


class ServiceProcesses(LoadProcesses):
    """Service first, then locust; the service is stopped last."""

    def __init__(
        self,
        platform: Platform,
        service: Service,
        load: ServiceLoad,
        folder: Path,
        secrets: Secrets,
        *,
        pool: str,
    ) -> None:
        super().__init__(folder, secrets)
        self._target = target(platform, service)
        self._load = load
        self._pool = pool

    def bring_up(self, seconds: float, waiting: Callable[[], object]) -> None:
        """Start the service, wait until it serves, start locust against it."""
        name = f"{self._load.service} service"
        self.spawn_with_target(
            name,
            [
                *("loadtests.service", "--pool", self._pool, "--pools", str(self._load.pools)),
                *("--pool-size", str(self._load.pool_size), "--port", "0"),
            ],
            self._target,
            log="service.log",
        )
        port = int(self.line_of(name, seconds, waiting, log="service.log")["port"])
        self.spawn_locust(
            [LOCUSTFILE],
            users=self._load.users,
            host=f"http://127.0.0.1:{port}",
            environment={"LOADTESTS_USER_CLASS": "OrdersUser"},
        )
