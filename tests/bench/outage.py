"""Figure 5: Vault away for less than the lease, and for more."""

from __future__ import annotations

import math
import time
from typing import Any

from loadtests.pools import open_pool
from loadtests.vault import VaultClient
from tests.bench.threads import Request, let_run, querying
from tests.integration.pool_servers import Servers, until

POOLS = ("lease-aware", "sqlalchemy-lease-aware")
THREADS, SIZE, PAUSE_SECONDS = 16, 20, 0.004
SHORT_TTL, SHORT_SECONDS = 40, 8.0
LONG_TTL, BEYOND_SECONDS = 20, 3.0
"""From 16 s on the latest renewal (0.7 of the ttl) fails more than `outage_grace`, 3 s, before the
deadline (0.9): the breaker is open then. With a shorter lease the first requests past the deadline
would wait for what remains of the grace."""


def measure(servers: Servers) -> dict[str, Any]:
    """Return for each pool what failed in the shorter outage; in the longer one, how late and how
    slowly requests failed, and how soon after Vault's return the first succeeded."""
    short = servers.role("outlasting", ttl=SHORT_TTL, max_ttl=3600)
    brief = servers.role("outlasted", ttl=LONG_TTL, max_ttl=3600)
    return {
        "threads": THREADS,
        "pool_size": SIZE,
        "goal_error_milliseconds": 50,
        "goal_return_seconds": 1.0,
        "pools": {
            kind: {
                "shorter": _shorter(servers, kind, short),
                "longer": _longer(servers, kind, brief),
            }
            for kind in POOLS
        },
    }


def _shorter(servers: Servers, kind: str, role: str) -> dict[str, Any]:
    pool = open_pool(kind, servers.target(role), size=SIZE, timeout=5.0)
    try:
        with querying(pool, threads=THREADS, pause=PAUSE_SECONDS) as seen:
            let_run(1.0)
            start = time.monotonic()
            servers.kill_vault()
            let_run(SHORT_SECONDS)
            servers.start_vault()
            away = time.monotonic() - start
            let_run(2.0)
        requests = seen.between(start, time.monotonic())
        return {
            "ttl_seconds": SHORT_TTL,
            "outage_seconds": round(away, 1),
            "requests": len(requests),
            "failed": sum(1 for one in requests if one.error),
            "new_leases": pool.lease()["issues"] - 1,
        }
    finally:
        pool.close()


def _longer(servers: Servers, kind: str, role: str) -> dict[str, Any]:
    pool = open_pool(kind, servers.target(role), size=SIZE, timeout=5.0)
    try:
        with querying(pool, threads=THREADS, pause=PAUSE_SECONDS) as seen:
            let_run(1.0)
            servers.kill_vault()
            start = time.monotonic()
            deadline = start + pool.lease()["lease_remaining_seconds"]
            until("the deadline", lambda: time.monotonic() > deadline, seconds=LONG_TTL + 5)
            let_run(BEYOND_SECONDS)
            servers.start_vault()
            active = time.monotonic()
            until("it serves", lambda: _first_success(seen.requests, deadline), seconds=30)
            let_run(0.5)
        issue = _issue_seconds(servers, role)
    finally:
        pool.close()
    requests = seen.between(start, time.monotonic())
    failed = [one for one in requests if one.error]
    past = sorted(one.end - one.start for one in failed if one.start >= deadline)
    first = _first_success(requests, deadline)
    return {
        "ttl_seconds": LONG_TTL,
        "requests_before_the_deadline": sum(1 for one in requests if one.start < deadline),
        "failed_before_the_deadline": sum(1 for one in failed if one.start < deadline),
        "failed_past_the_deadline": len(past),
        "errors": sorted({str(one.error) for one in failed}),
        "error_milliseconds_median": round(past[len(past) // 2] * 1000, 2),
        "error_milliseconds_p99": round(past[math.ceil(0.99 * len(past)) - 1] * 1000, 2),
        "error_milliseconds_longest": round(past[-1] * 1000, 2),
        # Vault is asked every 20 ms whether it is active: less than nothing is within that
        "first_success_after_the_return_seconds": round(max(0.0, first - active), 3),
        "issue_seconds": round(issue, 3),
    }


def _first_success(requests: list[Request], deadline: float) -> float:
    """Return when the first request that began past the deadline succeeded; 0 if none has."""
    return min(
        (one.end for one in list(requests) if one.start >= deadline and not one.error), default=0.0
    )


def _issue_seconds(servers: Servers, role: str) -> float:
    client = VaultClient(servers.target(role))
    token = client.login()
    start = time.monotonic()
    client.issue(token)
    took = time.monotonic() - start
    client.revoke_token(token)
    client.close()
    return took
