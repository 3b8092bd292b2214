"""Figure 4: the busiest second of renewals, simulated for 1,000 clients, counted for fewer."""

from __future__ import annotations

import asyncio
from typing import Any

from drills.storm import simulate, uniform_peak
from loadtests.fleet import Fleet
from loadtests.policies import POLICIES
from tests.integration.pool_servers import Servers

CLIENTS, TTL, SECONDS, SEEDS = 1000, 60.0, 300.0, 5
REAL_CLIENTS, REAL_TTL, REAL_SECONDS = 150, 15.0, 32.0
REAL_POLICIES = ("lease-aware", "lifetime-watcher")


def measure(servers: Servers) -> dict[str, Any]:
    """Return the simulated peaks of every policy, and two of them beside a real small fleet."""
    return {
        "simulated": {
            "clients": CLIENTS,
            "ttl_seconds": TTL,
            "seconds": SECONDS,
            "seeds": SEEDS,
            "even_spread_per_second": round(CLIENTS / TTL, 2),
            "goal_of_lease_aware": 1.3,
            "policies": {policy: _simulated(policy) for policy in POLICIES},
        },
        "counted": {policy: _counted(servers, policy) for policy in REAL_POLICIES},
    }


def _simulated(policy: str) -> dict[str, float]:
    """Means over the seeds. `later` leaves out the first ttl, and with it the start itself."""
    storms = [
        simulate(policy, clients=CLIENTS, ttl=TTL, seconds=SECONDS, seed=seed)
        for seed in range(SEEDS)
    ]

    def mean(of: list[float]) -> float:
        return round(sum(of) / len(of), 2)

    return {
        "renewals_per_second_mean": mean([one.mean_rate for one in storms]),
        "peak": mean([float(one.peak) for one in storms]),
        "peak_later": mean([float(one.peak_from(TTL)) for one in storms]),
        "peak_over_even_spread": mean([one.over_even_spread for one in storms]),
        "peak_over_own_mean": mean([one.peak / one.mean_rate for one in storms]),
        "peak_by_chance_alone": round(uniform_peak(len(storms[0].renewals), SECONDS, trials=5), 2),
        "peak_of_10_s_over_own_mean": mean(
            [one.peak_from(0, window=10) / 10 / one.mean_rate for one in storms]
        ),
    }


def _counted(servers: Servers, policy: str) -> dict[str, Any]:
    role = servers.role(f"storm-{policy}", ttl=REAL_TTL, max_ttl=3600)
    fleet = Fleet(servers.target(role), clients=REAL_CLIENTS, policy=policy)

    async def live() -> dict[str, Any]:
        return await fleet.run(REAL_SECONDS, asyncio.Event())

    counts = asyncio.run(live())
    issued = sorted(fleet.counts.issues)
    storm = simulate(
        policy,
        clients=REAL_CLIENTS,
        ttl=REAL_TTL,
        seconds=REAL_SECONDS,
        issues_per_second=(REAL_CLIENTS - 1) / max(issued[-1] - issued[1], 0.001),
    )
    return {**counts, "simulated_peak": storm.peak, "simulated_renewals": len(storm.renewals)}
