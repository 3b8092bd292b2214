"""Fault `exhaust-connections`: Postgres has no connection left (53300)."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import psycopg

from drills.errors import FaultError, VaultRefused
from drills.faults.base import Fault, FaultParams, Record, Scene
from infra.waiting import WaitedTooLong, wait_for

SESSIONS = "rotation-drills crowd"
_PAUSE_SECONDS = 0.02


class ExhaustConnectionsParams(FaultParams):
    """`service`: its read-only role is the one that takes all connections."""

    service: str


class ExhaustConnections(Fault[ExhaustConnectionsParams]):
    """Opens sessions until Postgres refuses, and takes each one that comes free, as a job that
    got out of hand would. The sessions are this process's, so they end with it, whatever happens;
    the lease they use ends by itself within its TTL then."""

    name = "exhaust-connections"
    params_model = ExhaustConnectionsParams

    _crowd: _Crowd | None = None

    def prepare(self, scene: Scene) -> Record:
        """Note the role."""
        try:
            role = scene.platform.service(self.params.service).read_only_role
        except KeyError as error:
            raise FaultError(f"exhaust-connections: {error.args[0]}") from None
        return {"path": f"{scene.platform.vault.database_mount}/creds/{role}"}

    def inject(self, scene: Scene, record: Record) -> None:
        """Take a credential, and connections until the first refusal; go on taking."""
        self._crowd = _Crowd(scene, record["path"])
        self._crowd.start()

    def undo(self, scene: Scene, record: Record) -> None:
        """Close the sessions of this process; another one's have gone with it."""
        if self._crowd is not None:
            self._crowd.end()
            self._crowd = None

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """Wait up to 15 s until no session of the crowd is left."""
        try:
            wait_for(
                lambda: not scene.database.sessions_named(SESSIONS),
                "the crowd's sessions ending",
                seconds=15,
                every=0.1,
            )
        except (WaitedTooLong, psycopg.OperationalError) as error:
            return [" ".join(str(error).split())]
        return []

    def by_hand(self, record: Record) -> str:
        """Name the statement."""
        return f"exhaust-connections: end the sessions called {SESSIONS!r} (pg_terminate_backend)"


class _Crowd:
    """The sessions, and the thread that keeps adding to them."""

    def __init__(self, scene: Scene, path: str) -> None:
        self._scene = scene
        lease = scene.vault.call("GET", path)
        self._lease = str(lease["lease_id"])
        self._username = str(lease["data"]["username"])
        self._password = str(lease["data"]["password"])
        scene.secrets.add("password", self._password)
        scene.secrets.add("lease-id", self._lease)
        self._sessions: list[psycopg.Connection[Any]] = []
        self._over = threading.Event()
        self._full = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crowd", daemon=True)

    def start(self, *, seconds: float = 30) -> None:
        """Take connections until Postgres refuses one. Raises `FaultError` if it never does."""
        self._thread.start()
        if not self._full.wait(seconds):
            self.end()
            raise FaultError(f"exhaust-connections: not exhausted within {seconds:g} s")

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._sessions.append(
                    self._scene.database.connect(
                        user=self._username, password=self._password, name=SESSIONS
                    )
                )
            except psycopg.OperationalError:
                self._full.set()
                self._over.wait(_PAUSE_SECONDS)

    def end(self) -> None:
        """Close all sessions and give the lease back."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        for session in self._sessions:
            session.close()
        self._sessions.clear()
        body = {"lease_id": self._lease, "sync": True}
        with contextlib.suppress(VaultRefused):
            self._scene.vault.call("PUT", "sys/leases/revoke", json=body, timeout=30)
