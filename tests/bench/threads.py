"""Threads that query a pool, and what they saw."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from loadtests.pools import Pool


@dataclass(frozen=True)
class Request:
    """One checkout with one statement. Times are `time.monotonic()`."""

    start: float
    end: float
    error: str | None


@dataclass
class Seen:
    """All requests so far, in the order in which they ended."""

    requests: list[Request] = field(default_factory=list)

    def between(self, start: float, end: float) -> list[Request]:
        """Return the requests that began in [start, end)."""
        return [one for one in list(self.requests) if start <= one.start < end]


@contextmanager
def querying(pool: Pool, *, threads: int, pause: float) -> Iterator[Seen]:
    """Query `pool` from `threads` threads, `pause` seconds apart, while the block runs."""
    seen, stop = Seen(), threading.Event()

    def work() -> None:
        while not (stop.wait(pause) if pause else stop.is_set()):
            start, error = time.monotonic(), None
            try:
                with pool.connection() as connection:
                    connection.execute("SELECT 1")
            except Exception as raised:  # noqa: BLE001 - whatever a pool raises is a measurement
                error = type(raised).__name__
            seen.requests.append(Request(start, time.monotonic(), error))

    workers = [threading.Thread(target=work, name=f"bench-{number}") for number in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield seen
    finally:
        stop.set()
        for worker in workers:
            worker.join(20)


def let_run(seconds: float) -> None:
    """Let the threads work: a measurement's length, not a wait for anything."""
    threading.Event().wait(seconds)
