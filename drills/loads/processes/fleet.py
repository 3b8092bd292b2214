"""A fleet of lease clients, which a fault can restart."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

from drills.errors import FaultError, SetupError
from drills.loads.fleet import FleetLoad
from drills.loads.processes.base import LoadProcesses, target
from drills.redact import Secrets
from infra.platform import Platform, Service

_NAME = "fleet"
_LOG = "load.log"
_FIRST_LEASES_SECONDS = 60.0
_RESTART_SECONDS = 30.0


class FleetProcesses(LoadProcesses):
    """One process of `loadtests.fleet`. What it counted is left in the run folder's fleet.json."""

    def __init__(
        self,
        platform: Platform,
        service: Service,
        load: FleetLoad,
        folder: Path,
        secrets: Secrets,
    ) -> None:
        super().__init__(folder, secrets)
        self._target = target(platform, service)
        self._load = load

    def bring_up(self, seconds: float, waiting: Callable[[], object]) -> None:
        """Start it and wait until every client holds a lease, or, of an idle fleet, until one
        that tried has had one."""
        load = self._load
        self.requests = self.spawn_with_target(
            _NAME,
            [
                *("loadtests.fleet", "--control", "--clients", str(load.fleet)),
                *("--policy", load.policy, "--ramp", str(load.ramp)),
                *(("--idle",) if load.idle else ()),
            ],
            self._target,
            log=_LOG,
            environment={"LOADTESTS_REQUEST_LOG": str(self.folder / "requests.jsonl")},
            hears=True,
        )
        patience = seconds + load.ramp + _FIRST_LEASES_SECONDS
        self.line_of(_NAME, patience, waiting, log=_LOG)

    def restart(self) -> float:
        """End every client at once, as a crash would, and start all anew in the same instant.

        Returns the moment (monotonic seconds) at which the last of the old ones had ended. Raises
        `FaultError` when the fleet does not say so within 30 s.
        """
        assert self.requests is not None  # noqa: S101 - a load that has been started
        assert self.requests.stdin is not None  # noqa: S101
        try:
            self.requests.stdin.write(b'{"do": "restart"}\n')
            self.requests.stdin.flush()
            said = self.line_of(_NAME, _RESTART_SECONDS, lambda: None, log=_LOG)
            return float(said["restarted"])
        except (OSError, SetupError, KeyError) as error:
            raise FaultError(
                f"the fleet did not restart: {type(error).__name__}: {error}"
            ) from None

    def stop_requests(self) -> int | None:
        """Stop the clients, keep what they counted, and let the leases be given back."""
        child = self.requests
        if child is None or child.stdout is None or child.stdout.closed:
            return None if child is None else child.returncode
        if child.poll() is None:
            child.terminate()
        late = threading.Timer(45, child.kill)
        late.name = "fleet-stop"
        late.start()
        try:
            said = child.stdout.read()
            status = child.wait()
        finally:
            late.cancel()
        child.stdout.close()
        lines = said.decode(errors="replace").strip().splitlines()
        try:
            counts = json.loads(lines[-1])
            (self.folder / "fleet.json").write_text(json.dumps(counts, indent=2) + "\n")
        except (IndexError, ValueError):
            pass  # it died; its exit status says so
        return status
