"""Runs one drill: preflight, load, phases, fault, undo, settling, verdict.

Whatever happens in between (a fault that fails, a safeguard, Ctrl-C), the fault is undone and
verified, the load is stopped, and the run is judged from its folder.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from drills import leaks, preflight, settle
from drills.definition import Drill
from drills.errors import SetupError
from drills.faults.base import Fault
from drills.faults.registry import make
from drills.interrupts import Signals
from drills.judge import judge_folder
from drills.lease_terms import lease_terms, seconds_of
from drills.loads.processes import FleetProcesses, LoadProcesses, open_load
from drills.probes import open_probes
from drills.probes.base import Probe
from drills.record import RunFolder
from drills.recovery import InFolder, Say, open_scene, undo_entries
from drills.redact import Secrets
from drills.remote import StopAsked
from drills.safeguards import Watch
from drills.undo import Pending, UndoLog, only_drill
from drills.verdict import Verdict
from drills.warm import wait_until_warm
from drills.watchdog import Watchdog
from infra.platform import Platform
from tools.environment import find_root

_GUARDED = {"baseline", "fault"}
#: A fault that stands this long (seconds) over its phase, or takes this long to be undone, has a
#: runner that no longer works: the watchdog ends it and undoes.
_FAULT_MARGIN = 60.0
_UNDO_LIMIT = 150.0


class _Ended(Exception):
    """The phases end here: interrupted, or aborted by a safeguard."""


class Run:
    """One run of one drill against one stack."""

    def __init__(
        self, drill: Drill, platform: Platform, *, pool: str, runs_dir: Path, say: Say
    ) -> None:
        self._drill = drill
        self._platform = platform
        self._pool = pool
        self._runs_dir = runs_dir
        self._say = say
        self._secrets = Secrets()
        self._undo_log = UndoLog(platform.drills.state_dir)
        self._signals = Signals()
        self._standing: list[tuple[Fault[Any], Pending]] = []
        self._watched = False
        self._remote: StopAsked | None = None

    def execute(self) -> tuple[Verdict, Path]:
        """Run to the verdict; return it and the run folder.

        Raises `SetupError` when preflight refuses; there is no run folder then. Any other failure
        of the harness is recorded as `failed`, and judged inconclusive.
        """
        preflight.check_allowed(self._platform, self._drill)
        faults = [
            make(name, params, where=f"{self._drill.drill}.yaml: ")
            for name, params in self._drill.faults
        ]
        with only_drill(self._platform.drills.state_dir), self._signals:
            preflight.check_hold(self._platform)
            preflight.check_left_over(self._undo_log)
            with open_scene(self._platform, self._secrets, lambda *_a, **_k: None) as scene:
                preflight.check_able(scene, faults)
                preflight.check_healthy(scene)
            preflight.check_load(self._drill)
            return self._record(faults)

    # -- the run folder ---------------------------------------------------------------------------

    def _record(self, faults: list[Fault[Any]]) -> tuple[Verdict, Path]:
        redact = self._secrets.redact
        folders = RunFolder.create(self._runs_dir, self._drill.drill, redact=redact)
        with (
            folders as folder,
            open_scene(self._platform, self._secrets, folder.sample) as self._scene,
            Watchdog(self._platform, folder.path) as self._watchdog,
        ):
            self._folder = folder
            self._watch = Watch(self._drill.safeguards, folder.path / "requests.jsonl")
            self._write_run()
            folder.event("run-started")
            self._say(f"run {folder.run}: {self._drill.title}")
            outcome, error = "completed", None
            try:
                outcome = self._load_and_faults(faults)
            except _Ended as ended:
                outcome = str(ended)
            except Exception as failure:  # noqa: BLE001 - recorded, and judged inconclusive
                outcome, error = "failed", f"{type(failure).__name__}: {failure}"
                self._say(redact(f"the harness failed: {error}"))
            if self._not_undone:
                outcome = "undo-failed"
            folder.event("run-ended", outcome=outcome, error=error)
        self._scan()
        return judge_folder(folder.path), folder.path

    def _write_run(self) -> None:
        load = self._drill.load
        service = load.service_of(self._platform)
        ttl, max_ttl = seconds_of(load, service.default_ttl_seconds, service.max_ttl_seconds)
        postgres = self._platform.postgres
        self._not_undone: list[str] = []
        self._anchor = {"monotonic": time.monotonic(), "unix": time.time()}
        self._folder.write_json(
            "run.json",
            {
                "run": self._folder.run,
                "drill": self._drill.model_dump(),
                "stack": self._platform.stack,
                "pool": load.client(self._pool),
                "started": datetime.now(UTC).isoformat(timespec="seconds"),
                "anchor": self._anchor,
                "versions": self._versions(),
                "platform": {
                    "service": service.name,
                    "role": service.role,
                    "default_ttl_seconds": ttl,
                    "max_ttl_seconds": max_ttl,
                    "nodes": list(self._scene.vault.nodes),
                    "postgres": f"{postgres.host}:{postgres.port}",
                },
            },
        )

    def _versions(self) -> dict[str, str]:
        vault = self._scene.vault.call("GET", "sys/health?standbyok=true", seconds=5)
        return {
            "rotation-drills": version("rotation-drills"),
            "vault": str(vault.get("version", "unknown")),
            "postgres": self._scene.database.server_version(),
            "psycopg": version("psycopg"),
            "psycopg-pool": version("psycopg-pool"),
            "locust": version("locust"),
        }

    def _scan(self) -> None:
        """Search all that was written for every secret that was handled; the last sample."""
        found = leaks.scan(
            self._secrets,
            run_folder=self._folder.path,
            state_dir=self._platform.drills.state_dir,
            stack=self._platform.stack,
            root=find_root(),
        )
        with RunFolder(self._folder.path, redact=self._secrets.redact) as folder:
            folder.sample("secrets", handled=len(self._secrets), hits=found.hits)
            if found.missing:
                folder.event("probe-failed", probe="secrets", error=found.missing)

    # -- load, phases, faults -------------------------------------------------------------------

    def _load_and_faults(self, faults: list[Fault[Any]]) -> str:
        wanted = self._drill.load
        load = open_load(self._platform, wanted, self._pool, self._folder.path, self._secrets)
        if isinstance(load, FleetProcesses):
            self._scene = replace(self._scene, fleet=load)
        terms = lease_terms(
            wanted,
            self._scene,
            self._undo_log,
            self._folder.run,
            watchdog=self._watchdog,
            left=self._not_undone,
        )
        with self._probing(), terms:
            try:
                self._say(f"starting {wanted.words(self._pool)}")
                load.start(waiting=self._stop_if_signalled)
                self._folder.event("load-started")
                self._watchdog.wait_until_watching()
                if not isinstance(load, FleetProcesses):  # which makes no requests of its own
                    requests = self._folder.path / "requests.jsonl"
                    wait_until_warm(requests, lambda: self._look_around(load))
                self._go_through(faults, load)
            finally:
                # In this order: nothing that fails here may keep the fault from being undone.
                try:
                    self._undo_all()
                finally:
                    self._folder.event("load-ended", exit=load.stop_requests())
                    load.stop()
            settle.settle(self._scene)
        return "completed"

    @contextlib.contextmanager
    def _probing(self) -> Iterator[None]:
        def observe(probe: str, **fields: Any) -> None:
            self._folder.sample(probe, **fields)
            if probe == "node_health":
                self._watch.node_health(**fields)

        def failed(probe: str, error: str) -> None:
            self._folder.event("probe-failed", probe=probe, error=error)

        offset = self._anchor["monotonic"] - self._anchor["unix"]
        load = self._drill.load
        self._remote = StopAsked(self._platform, observe, failed)
        probes: list[Probe] = [self._remote]
        probes += open_probes(
            self._platform,
            self._scene.vault,
            lambda unix: unix + offset,
            observe,
            failed,
            # whoever ran before took its leases then
            past_seconds=load.service_of(self._platform).max_ttl_seconds if load.foreign else 0.0,
        )
        try:
            for probe in probes:
                probe.start()
            yield
        finally:
            for probe in probes:
                probe.stop()

    def _go_through(self, faults: list[Fault[Any]], load: LoadProcesses) -> None:
        for phase, seconds in self._drill.phases.items():
            if phase == "baseline":
                self._watch.begin()
            self._watched = phase in _GUARDED and bool(self._drill.safeguards)
            started = self._folder.event("phase-started", phase=phase)
            self._say(f"{phase}: {seconds:g} s")
            if phase == "fault":
                for fault in faults:
                    self._watchdog.limit(seconds + _FAULT_MARGIN)
                    self._inject(fault, load)
            self._pass_time(started + seconds, load)
            if phase == "fault":
                self._undo_all()
            self._folder.event("phase-ended", phase=phase)

    def _pass_time(self, until: float, load: LoadProcesses) -> None:
        pause = threading.Event()
        while (left := until - time.monotonic()) > 0:
            self._look_around(load)
            pause.wait(min(left, 0.1))
        self._stop_if_signalled()

    def _look_around(self, load: LoadProcesses) -> None:
        """Raise whatever ends the run before its time."""
        self._stop_if_signalled()
        ended = load.ended()
        if ended:
            raise SetupError(f"the load is gone: {ended}")
        if not self._watchdog.watches():
            raise SetupError("the watchdog is gone: no fault may stand without one")
        self._stop_if_breached()

    def _stop_if_signalled(self) -> None:
        if self._signals.received is not None:
            name = signal.Signals(self._signals.received).name
            self._folder.event("interrupted", signal=name)
            self._say(f"{name}: undoing what was injected")
            raise _Ended("interrupted")
        if self._remote is not None and self._remote.asked:
            self._folder.event("interrupted", signal="drill stop of another machine")
            self._say("another machine asks to stop: undoing what was injected")
            raise _Ended("interrupted")

    def _stop_if_breached(self) -> None:
        breach = self._watch.breach() if self._watched else None
        if breach:
            self._folder.event(
                "safeguard-triggered",
                safeguard=breach.safeguard,
                observed=breach.observed,
                limit=breach.limit,
                breached=round(breach.breached, 6),
            )
            self._say(f"safeguard {breach.safeguard}: {breach.observed} is over {breach.limit}")
            raise _Ended("aborted")

    def _inject(self, fault: Fault[Any], load: LoadProcesses) -> None:
        self._look_around(load)
        record = fault.prepare(self._scene)
        params = fault.params.model_dump()
        pending = Pending(self._folder.run, fault.name, params, record)
        self._undo_log.add(pending)  # on disk before anything is touched
        self._standing.append((fault, pending))
        self._folder.event("fault-injecting", fault=fault.name, params=params)
        self._attend(lambda: fault.inject(self._scene, record), fault.name, load)
        self._folder.event("fault-injected", fault=fault.name)
        self._say(f"injected {fault.name} {record}")

    def _attend(self, inject: Callable[[], None], name: str, load: LoadProcesses) -> None:
        """Inject in another thread, and meanwhile look at signals and safeguards.

        Once one of them ends the run, `Scene.stopping` asks the injection to come to an end, and
        it is waited for: undoing must not run into it.
        """
        failed: list[BaseException] = []

        def work() -> None:
            try:
                inject()
            except BaseException as error:  # noqa: BLE001 - raised again in the runner's thread
                failed.append(error)

        worker = threading.Thread(target=work, name=f"inject-{name}", daemon=True)
        worker.start()
        try:
            while worker.is_alive():
                self._look_around(load)
                worker.join(0.1)
        finally:
            self._scene.stopping.set()
            worker.join()
            self._scene.stopping.clear()
        if failed:
            raise failed[0]

    def _undo_all(self) -> None:
        """Undo and verify what stands; the problems that are left are said, and kept."""
        standing, self._standing = self._standing, []
        faults = {id(pending): fault for fault, pending in standing}
        problems = undo_entries(
            self._undo_log,
            [pending for _fault, pending in standing],
            self._scene,
            notes=_Told(self._folder, self._watchdog),
            fault_of=lambda pending: faults[id(pending)],  # which knows more than the record
        )
        for problem in problems:
            self._say(problem)
        self._not_undone += problems
        self._watchdog.limit(None)


class _Told(InFolder):
    """Tells the watchdog, too, that the runner is at work."""

    def __init__(self, folder: RunFolder, watchdog: Watchdog) -> None:
        super().__init__(folder)
        self._watchdog = watchdog

    def undoing(self, entry: Pending) -> None:
        """Put the watchdog off."""
        self._watchdog.limit(_UNDO_LIMIT)
        super().undoing(entry)
