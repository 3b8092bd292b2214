"""Fault `replies-lost`: clients' connections to Postgres end while answers are on their way."""

from __future__ import annotations

import contextlib

from pydantic import Field

from drills.faults.base import FaultParams, Record, Scene
from drills.faults.lines import Line
from drills.faults.toxic import ToxicFault
from drills.toxiproxy import Toxiproxy
from infra.waiting import WaitedTooLong, wait_for

PROXY = "postgres"
_WRITERS = 3


class RepliesLostParams(FaultParams):
    """`latency_ms`: how long an answer is on its way; `times`: how often all connections end."""

    latency_ms: int = Field(default=500, ge=50, le=2000)
    times: int = Field(default=3, ge=1, le=20)


class RepliesLost(ToxicFault[RepliesLostParams]):
    """Delays what Postgres says to clients, and in the middle of it ends every connection, `times`
    times. What was committed in the last `latency_ms` stays committed, but its client only sees
    the connection end: it can't know, and whoever sends the statement again may do it twice."""

    name = "replies-lost"
    params_model = RepliesLostParams
    kind = "latency"

    def proxies(self, scene: Scene) -> list[str]:
        """Return the one between clients and Postgres."""
        return [PROXY]

    def attributes(self) -> dict[str, int]:
        """Latency in milliseconds."""
        return {"latency": self.params.latency_ms, "jitter": 0}

    def hit(self, line: Line) -> str | None:
        """A line that is hit answers late."""
        try:
            seconds = line.ask()
        except OSError as error:
            return f"ended ({error})"
        late = seconds >= self.params.latency_ms / 1000
        return None if late else f"answered in {seconds:.3f} s"

    def inject(self, scene: Scene, record: Record) -> None:
        """Delay, then end all connections again and again, each time with commits under way."""
        super().inject(scene, record)
        toxiproxy = Toxiproxy(scene.platform.proxy.api)
        for _ in range(self.params.times):
            self._wait_for_commits(scene)
            if scene.stopping.is_set():
                return
            toxiproxy.enable(PROXY, on=False)
            toxiproxy.enable(PROXY, on=True)

    def _wait_for_commits(self, scene: Scene) -> None:
        """Wait until the answers to some commits should be under way; 10 s for writers at most.

        Who has written by now gets the answer to that within one latency, commits at once, and
        waits for the answer to the commit for another one. A quarter more leaves a slow client
        time to commit. Where nobody writes, connections end all the same.
        """
        with contextlib.suppress(WaitedTooLong):
            wait_for(
                lambda: scene.stopping.is_set() or scene.database.sessions_writing() >= _WRITERS,
                "clients that write",
                seconds=10,
                every=0.02,
            )
        scene.stopping.wait(1.25 * self.params.latency_ms / 1000)

    def undo(self, scene: Scene, record: Record) -> None:
        """Let through again, at once."""
        toxiproxy = Toxiproxy(scene.platform.proxy.api)
        toxiproxy.enable(PROXY, on=True)
        wait_for(lambda: toxiproxy.proxy(PROXY)["enabled"], f"proxy {PROXY}", seconds=5)
        super().undo(scene, record)
