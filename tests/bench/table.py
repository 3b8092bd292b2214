"""The tables of docs/BENCHMARKS.md, from bench/results.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

BEGIN, END = "<!-- results: written by make bench -->", "<!-- end of results -->"


def put_into(document: str, results: dict[str, Any]) -> str:
    """Return the document with the results between its two marks."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{render(results)}\n{END}{after}"


def render(results: dict[str, Any]) -> str:
    """Return Markdown with a table a figure."""
    return "\n".join(
        [
            *_machine(results),
            *_revocation(results["revocation"]),
            *_expiry(results["expiry"]),
            *_throughput(results["throughput"]),
            *_storms(results["storms"]),
            *_outage(results["outage"]),
            *_cost(results["cost"]),
        ]
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines] + [""]


def _machine(results: dict[str, Any]) -> list[str]:
    told = " · ".join(f"{name} {what}" for name, what in results["machine"].items())
    return [f"Taken {results['taken']} on: {told}.", ""]


def _revocation(found: dict[str, Any]) -> list[str]:
    rows = [
        (
            f"`{kind}`",
            round(sum(row["queries_per_second_before"] for row in rounds) / len(rounds)),
            " · ".join(str(row["failed"]) for row in rounds),
            f"{sum(row['requests_after'] for row in rounds):,}",
            sum(row["failed_begun_after_the_revoke"] for row in rounds),
            " · ".join(_last_failure(row) for row in rounds),
            f"{max(row['revoke_seconds'] for row in rounds):.3f} s",
            f"{max(row['longest_request_seconds'] for row in rounds):.3f} s",
            " · ".join(str(row["new_leases"]) for row in rounds),
        )
        for kind, rounds in found["pools"].items()
    ]
    return [
        "### 1. Every lease revoked at once",
        "",
        f"{found['threads']} threads, pool of {found['pool_size']}, {found['rounds']} rounds. "
        f"A lease takes {found['issue_seconds'] * 1000:.1f} ms and a connect "
        f"{found['connect_seconds'] * 1000:.1f} ms: the goal for recovery is "
        f"{found['recovery_goal_seconds'] * 1000:.0f} ms.",
        "",
        *_table(
            (
                "pool",
                "queries/s before",
                "failed, each round",
                "of requests, in all",
                "failed that began after it",
                "last failure since it began",
                "the revoke took at most",
                "longest request",
                "new leases",
            ),
            rows,
        ),
    ]


def _last_failure(row: dict[str, Any]) -> str:
    if not row["failed"]:
        return "none"
    if not row["recovered"]:
        return "never ends"
    return f"+{row['last_failure_seconds_after_the_revoke_began'] * 1000:.0f} ms"


def _expiry(found: dict[str, Any]) -> list[str]:
    goal = found["goal_p99_over_baseline"]
    rows = [
        (
            f"`{kind}`",
            row["rotations"],
            f"{row['seconds']:g} s",
            f"{row['requests']:,}",
            row["failed"],
            f"{row['p99_milliseconds']} ms",
            " · ".join(f"{one} ms" for one in row["baseline_p99_milliseconds"]),
            f"**{row['p99_over_baseline']:.2f}** ({_met(row['p99_over_baseline'] <= goal)})",
            f"{row['longest_milliseconds']} ms",
            f"{row['leases']} · {row['renewals']}",
        )
        for kind, row in found["pools"].items()
    ]
    return [
        "### 2. Leases that end at max_ttl",
        "",
        f"ttl {found['ttl_seconds']} s, max_ttl {found['max_ttl_seconds']} s, "
        f"{found['threads']} threads, pool of {found['pool_size']}. The baseline is the same pool "
        "on a lease that does not end, before and after; the goal is no failure, and a p99 of at "
        f"most {goal} times their mean.",
        "",
        *_table(
            (
                "pool",
                "rotations",
                "in",
                "requests",
                "failed",
                "p99",
                "baseline p99, before · after",
                "p99 over baseline",
                "longest",
                "leases · renewals",
            ),
            rows,
        ),
    ]


def _outage(found: dict[str, Any]) -> list[str]:
    error, back = found["goal_error_milliseconds"], found["goal_return_seconds"]
    shorter = [
        (
            f"`{kind}`",
            f"{row['outage_seconds']} s",
            f"{row['ttl_seconds']} s",
            f"{row['requests']:,}",
            f"{row['failed']} ({_met(row['failed'] == 0)})",
            row["new_leases"],
        )
        for kind, row in ((kind, both["shorter"]) for kind, both in found["pools"].items())
    ]
    longer = [
        (
            f"`{kind}`",
            f"{row['failed_before_the_deadline']} of {row['requests_before_the_deadline']:,}",
            f"{row['failed_past_the_deadline']:,}",
            ", ".join(f"`{one}`" for one in row["errors"]),
            f"{row['error_milliseconds_median']} ms",
            f"{row['error_milliseconds_p99']} ms",
            f"{row['error_milliseconds_longest']} ms "
            f"({_met(row['error_milliseconds_longest'] <= error)})",
            f"{(after := row['first_success_after_the_return_seconds'])} s "
            f"({_met(after <= back + row['issue_seconds'])})",
            f"{row['issue_seconds'] * 1000:.0f} ms",
        )
        for kind, row in ((kind, both["longer"]) for kind, both in found["pools"].items())
    ]
    return [
        "### 5. Vault away",
        "",
        f"SIGKILL, restart, unseal; {found['threads']} threads, pool of {found['pool_size']}. "
        "For less than what remains of the lease; the goal is no failure:",
        "",
        *_table(("pool", "away", "ttl", "requests", "failed", "new leases"), shorter),
        "For longer. From the deadline on a request fails, and the goal for the longest of these "
        f"is {error} ms; the first success is to come within {back:g} s of Vault's return and one "
        "issue:",
        "",
        *_table(
            (
                "pool",
                "failed before the deadline",
                "failed past it",
                "errors",
                "an error takes, median",
                "p99",
                "longest",
                "first success after the return",
                "an issue takes",
            ),
            longer,
        ),
    ]


def _met(kept: bool) -> str:
    return "met" if kept else "missed"


def _throughput(found: dict[str, Any]) -> list[str]:
    met = _met(found["ratio_median"] >= found["goal"])
    return [
        "### 3. Throughput over psycopg_pool with fixed credentials",
        "",
        f"{len(found['pairs'])} interleaved pairs of {found['seconds_each']:g} s, "
        f"{found['threads']} threads, pool of {found['pool_size']}: median "
        f"**{found['ratio_median']:.3f}** (goal: at least {found['goal']}, {met}); half of the "
        f"pairs lie from {_range(found['ratio_quartiles'])}. The process's CPU a query: median "
        f"{found['cpu_a_query_ratio_median']:.3f} times as much, half of the pairs from "
        f"{_range(found['cpu_a_query_ratio_quartiles'])}. Every pair is in bench/results.json.",
        "",
    ]


def _range(quartiles: list[float]) -> str:
    return f"{quartiles[0]:.3f} to {quartiles[1]:.3f}"


def _storms(found: dict[str, Any]) -> list[str]:
    simulated, counted = found["simulated"], found["counted"]
    rows = [
        (
            f"`{policy}`",
            f"{row['renewals_per_second_mean']:.1f}",
            f"{row['peak']:.0f}",
            f"**{row['peak_over_even_spread']:.2f}**",
            f"{row['peak_later']:.0f}",
            f"{row['peak_by_chance_alone']:.0f}",
            f"{row['peak_over_own_mean']:.2f}",
            f"{row['peak_of_10_s_over_own_mean']:.2f}",
        )
        for policy, row in simulated["policies"].items()
    ]
    real = [
        (
            f"`{policy}`",
            row["clients"],
            f"{row['ttl_seconds']:g} s",
            row["renewals"],
            row["simulated_renewals"],
            row["peak_renewals_per_second"],
            row["simulated_peak"],
            row["lost_leases"],
            f"{held:.1f} s" if (held := row["all_held_after_seconds"]) else "never",
        )
        for policy, row in counted.items()
    ]
    return [
        "### 4. The busiest second of renewals",
        "",
        f"**Simulated** (`drills/storm`; Vault answers at once): {simulated['clients']:,} clients, "
        f"ttl {simulated['ttl_seconds']:g} s, all started in one instant, "
        f"{simulated['seconds']:g} s, means of {simulated['seeds']} seeds. The even spread, "
        f"clients / ttl, is {simulated['even_spread_per_second']}/s; the goal for `lease-aware` is "
        f"a peak of at most {simulated['goal_of_lease_aware']} times that.",
        "",
        *_table(
            (
                "policy",
                "renewals/s, mean",
                "peak",
                "peak over even spread",
                "peak after the first ttl",
                "peak that chance makes at this rate",
                "peak over own mean",
                "the same, 10 s windows",
            ),
            rows,
        ),
        "The simulator beside real fleets on a real Vault (`python -m loadtests.fleet`). Where it "
        "took them long to hold their leases, Vault did not keep up, and there is nothing to "
        "compare:",
        "",
        *_table(
            (
                "policy",
                "clients",
                "ttl",
                "renewals",
                "simulated",
                "peak",
                "simulated",
                "lost leases",
                "all held one after",
            ),
            real,
        ),
    ]


def _cost(found: dict[str, Any]) -> list[str]:
    rows = [
        (f"`{kind}`", row["cpu_microseconds_a_checkout"], row["resident_kib_a_pool"])
        for kind, row in found["pools"].items()
    ]
    return [
        "### 6. What it costs",
        "",
        f"CPU of the process for one checkout without a statement (the best of rounds, "
        f"{found['checkouts']:,} in all), resident memory a pool of {found['pool_size']} "
        f"(mean of {found['pools_opened']}, connections included).",
        "",
        *_table(("pool", "CPU a checkout, µs", "memory a pool, KiB"), rows),
    ]
