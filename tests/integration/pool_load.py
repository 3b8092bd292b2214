"""Threads that query a pool while a test does something to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
import psycopg

from loadtests.pools import Pool
from tests.integration.pool_servers import Servers, until


def revoke_all(servers: Servers) -> float:
    """Revoke every lease; return the time from which on no session of theirs takes a statement.

    A session that was killed may take one until its process has ended, which takes its time on a
    busy machine.
    """
    killed = _dynamic_sessions(servers)
    servers.revoke_all()
    until("killed sessions end", lambda: not any(map(psutil.pid_exists, killed)), seconds=30)
    return time.monotonic()


def _dynamic_sessions(servers: Servers) -> list[int]:
    with servers.superuser() as connection:
        rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE usename LIKE 'v-%'")
        return [row[0] for row in rows]


@dataclass
class Load:
    """What threads that query without a pause have seen: start, seconds, error."""

    seen: list[tuple[float, float, Exception | None]] = field(default_factory=list)

    def count(self, since: float = 0.0) -> int:
        """Return how many requests started from `since` on have ended."""
        return sum(1 for start, _, _ in list(self.seen) if start >= since)

    def failed(self, since: float = 0.0) -> list[Exception]:
        """Return the errors of requests that started from `since` on."""
        return [error for start, _, error in list(self.seen) if error and start >= since]


@contextmanager
def load(pool: Pool, *, threads: int = 16, pause: float = 0.002) -> Iterator[Load]:
    """Query the pool from `threads` threads while the block runs."""
    seen, stop = Load(), threading.Event()

    def work() -> None:
        while not stop.wait(pause):
            start, error = time.monotonic(), None
            try:
                with pool.connection() as connection:
                    connection.execute("SELECT 1")
            except Exception as raised:  # noqa: BLE001 - whatever it is, it counts
                error = raised
            seen.seen.append((start, time.monotonic() - start, error))

    workers = [threading.Thread(target=work, name=f"load-{number}") for number in range(threads)]
    for worker in workers:
        worker.start()
    try:
        until("the load is under way", lambda: seen.count() > 100, seconds=10)
        yield seen
    finally:
        stop.set()
        for worker in workers:
            worker.join(20)


def query(pool: Pool) -> None:
    with pool.connection() as connection:
        connection.execute("SELECT 1")


def works(pool: Pool) -> bool:
    return not fails(pool, psycopg.Error)


def fails(pool: Pool, kind: type[Exception]) -> bool:
    try:
        query(pool)
    except kind:
        return True
    return False
