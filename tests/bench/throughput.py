"""Figure 3: the reference pool's throughput over psycopg_pool's with fixed credentials."""

from __future__ import annotations

import statistics
from typing import Any

from loadtests.pools import Pool, open_pool
from tests.bench.threads import let_run, querying
from tests.integration.pool_servers import Servers

PAIRS, SECONDS, THREADS, SIZE = 10, 2.0, 16, 20


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
    ratios = sorted(one / other for one, other in pairs)
    return {
        "threads": THREADS,
        "pool_size": SIZE,
        "seconds_each": SECONDS,
        "pairs": [[round(one), round(other)] for one, other in pairs],
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_least": round(ratios[0], 3),
        "ratio_most": round(ratios[-1], 3),
        "goal": 0.97,
    }


def _rate(pool: Pool) -> float:
    with querying(pool, threads=THREADS, pause=0) as seen:
        let_run(SECONDS)
    first, last = seen.requests[0].start, seen.requests[-1].end
    return len(seen.requests) / (last - first)
