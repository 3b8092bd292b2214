"""Fault `postgres-restart`: the database server restarts, as an upgrade or a fail-over would."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Literal

import psycopg

from drills.faults.base import Fault, FaultParams, Record, Scene
from infra.cluster.process import ServerProcess
from infra.waiting import WaitedTooLong, wait_for
from tools import postgres


class PostgresRestartParams(FaultParams):
    """`mode`: `fast` ends sessions properly (SIGINT), `crash` does not (SIGQUIT, then recovery)."""

    mode: Literal["fast", "crash"] = "fast"


class PostgresRestart(Fault[PostgresRestartParams]):
    """Stops the server and starts it again at once; every session ends. Undo starts it, if it
    does not run."""

    name = "postgres-restart"
    needs = frozenset({"postgres-process"})
    params_model = PostgresRestartParams

    def _server(self, scene: Scene) -> ServerProcess:
        folder = Path(scene.platform.cluster.state_dir) / "postgres"
        return ServerProcess("postgres", folder, str(folder / "data"))

    def prepare(self, scene: Scene) -> Record:
        """Nothing to choose."""
        return {}

    def inject(self, scene: Scene, record: Record) -> None:
        """Stop and start."""
        sign = signal.SIGINT if self.params.mode == "fast" else signal.SIGQUIT
        self._server(scene).stop(sign=sign, seconds=20)
        self.undo(scene, record)

    def undo(self, scene: Scene, record: Record) -> None:
        """Start the server unless it runs."""
        server = self._server(scene)
        binary = str(postgres.resolve().bin_dir / "postgres")
        server.start(postgres.as_server_account([binary, "-D", server.mark]), cwd=server.folder)

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """Wait up to 30 s until the observer gets an answer."""

        def answers() -> bool:
            try:
                scene.database.server_version()
            except psycopg.OperationalError:
                return False
            return True

        try:
            wait_for(answers, "Postgres answering", seconds=30, every=0.1)
        except WaitedTooLong as error:
            return [f"{error}: {self._server(scene).last_words()}"]
        return []

    def by_hand(self, record: Record) -> str:
        """Name the command that starts it."""
        return "postgres-restart: run `pulumi up` for the stack: it starts the server"
