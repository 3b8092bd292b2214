"""Figure 2: leases that end at max_ttl, three times, for the pools that follow them."""

from __future__ import annotations

import math
import time
from typing import Any

from loadtests.pools import open_pool
from tests.bench.threads import Request, let_run, querying
from tests.integration.pool_servers import Servers, until

POOLS = ("lease-aware", "sqlalchemy-lease-aware")
THREADS, SIZE, PAUSE_SECONDS = 16, 20, 0.004
TTL, MAX_TTL, ROTATIONS = 8, 16, 3
BASELINE_SECONDS = 10.0


def measure(servers: Servers) -> dict[str, Any]:
    """Return for each pool failures and p99 over three rotations, and p99 of the same pool, in the
    same minute, on a lease that does not end."""
    steady = servers.role("steady", ttl=3600, max_ttl=7200)
    brief = servers.role("ending", ttl=TTL, max_ttl=MAX_TTL)
    return {
        "threads": THREADS,
        "pool_size": SIZE,
        "ttl_seconds": TTL,
        "max_ttl_seconds": MAX_TTL,
        "goal_p99_over_baseline": 1.5,
        "pools": {kind: _one(servers, kind, steady, brief) for kind in POOLS},
    }


def _one(servers: Servers, kind: str, steady: str, brief: str) -> dict[str, Any]:
    before = _baseline(servers, kind, steady)
    pool = open_pool(kind, servers.target(brief), size=SIZE, timeout=5.0)
    try:
        with querying(pool, threads=THREADS, pause=PAUSE_SECONDS) as seen:
            let_run(1.0)
            start = time.monotonic()
            last = pool.lease()["generation"] + ROTATIONS
            until("three rotations", lambda: pool.lease()["generation"] >= last, seconds=300)
            let_run(2.0)  # the old connections are replaced
            end = time.monotonic()
        requests = seen.between(start, end)
        counts = pool.lease()
    finally:
        pool.close()
    after = _baseline(servers, kind, steady)
    # the machine may have become slower or faster meanwhile: before and after count alike
    baseline, rotating = (before + after) / 2, _p99(requests)
    return {
        "seconds": round(end - start, 1),
        "rotations": ROTATIONS,
        "renewals": counts["renewals"],
        "leases": counts["issues"],
        "requests": len(requests),
        "failed": sum(1 for one in requests if one.error),
        "p99_milliseconds": round(rotating * 1000, 2),
        "baseline_p99_milliseconds": [round(one * 1000, 2) for one in (before, after)],
        "p99_over_baseline": round(rotating / baseline, 2),
        "longest_milliseconds": round(max(one.end - one.start for one in requests) * 1000, 1),
    }


def _baseline(servers: Servers, kind: str, role: str) -> float:
    pool = open_pool(kind, servers.target(role), size=SIZE, timeout=5.0)
    try:
        with querying(pool, threads=THREADS, pause=PAUSE_SECONDS) as seen:
            let_run(1.0)
            start = time.monotonic()
            let_run(BASELINE_SECONDS)
        return _p99(seen.between(start, start + BASELINE_SECONDS))
    finally:
        pool.close()


def _p99(requests: list[Request]) -> float:
    """Return the 99th percentile (nearest rank) of the time a request took, in seconds."""
    taken = sorted(one.end - one.start for one in requests)
    return taken[math.ceil(0.99 * len(taken)) - 1]
