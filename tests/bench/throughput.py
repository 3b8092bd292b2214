"""Figure 3: the reference pool's throughput over psycopg_pool's with fixed credentials."""

from __future__ import annotations

import statistics
import time
from typing import Any

from loadtests.pools import Pool, open_pool
from tests.bench.threads import let_run, querying
from tests.integration.pool_servers import Servers

PAIRS, SECONDS, THREADS, SIZE = 60, 0.4, 16, 20


def measure(servers: Servers) -> dict[str, Any]:
    """Return queries/s of both in interleaved pairs, and the ratio of each pair.

    Which of the two goes first alternates, so that a machine that slows down favours neither.
    """
    target = servers.target(servers.role("steady", ttl=3600, max_ttl=7200))
    ours, fixed = (open_pool(kind, target, size=SIZE) for kind in ("lease-aware", "static"))
    try:
        _rate(ours), _rate(fixed)  # caches, and the interpreter's specialised code
        pairs = []
        for number in range(PAIRS):
            if number % 2:
                other, one = _rate(fixed), _rate(ours)
            else:
                one, other = _rate(ours), _rate(fixed)
            pairs.append((one, other))
    finally:
        ours.close()
        fixed.close()
        servers.revoke_all("steady")
    ratios = sorted(one[0] / other[0] for one, other in pairs)
    of_cpu = sorted(one[1] / other[1] for one, other in pairs)
    return {
        "threads": THREADS,
        "pool_size": SIZE,
        "seconds_each": SECONDS,
        "pairs": [[round(one[0]), round(other[0])] for one, other in pairs],
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_quartiles": [round(at, 3) for at in statistics.quantiles(ratios, n=4)[::2]],
        "cpu_a_query_ratio_median": round(statistics.median(of_cpu), 3),
        "cpu_a_query_ratio_quartiles": [
            round(at, 3) for at in statistics.quantiles(of_cpu, n=4)[::2]
        ],
        "goal": 0.97,
    }


def _rate(pool: Pool) -> tuple[float, float]:
    """Return queries/s, and seconds of this process's CPU a query, which others' load on the
    machine moves less."""
    with querying(pool, threads=THREADS, pause=0) as seen:
        let_run(SECONDS / 10)  # the threads are all at work
        done, start, cpu = len(seen.requests), time.monotonic(), time.process_time()
        let_run(SECONDS)
        done = len(seen.requests) - done
        seconds, cpu = time.monotonic() - start, time.process_time() - cpu
    return done / seconds, cpu / done
