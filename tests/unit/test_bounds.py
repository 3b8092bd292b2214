"""Each bound on made-up evidence: kept, broken, and missing."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_judge_runs import ANCHOR, FAULT, events, requests, samples, write_run

from drills.bounds import BOUNDS, Finding, evaluate
from drills.record import read

Rows = list[dict[str, Any]]


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., Finding]:
    """Judges one bound on a made-up run, parts of which the test replaces."""

    def judge(name: str, params: dict[str, Any], **parts: Any) -> Finding:
        bound = BOUNDS[name]
        history = read(write_run(tmp_path, **parts))
        return evaluate(bound, bound.params.model_validate(params), history)

    return judge


def changed(rows: Rows, probe: str, **fields: Any) -> Rows:
    """The samples with fields of one probe replaced."""
    return [{**row, **fields} if row["probe"] == probe else row for row in rows]


def at(t: float, ok: bool, took: float = 0.01) -> dict[str, Any]:
    """A request at `t` seconds."""
    return {"t": ANCHOR + t, "s": took, "op": "q", "ok": ok, "error": None if ok else "E"}


Case = tuple[str, dict[str, Any], str, dict[str, Any], float]
CASES: list[Case] = [
    ("orphan_roles", {"at_most": 0}, "settled", {"orphan_roles": 2}, 2),
    ("revoked_roles_left", {"at_most": 0}, "revocation", {"roles_left": 1}, 1),
    ("sessions_on_revoked_roles", {"at_most": 0}, "revocation", {"sessions_left": 3}, 3),
    (
        "sessions_on_revoked_roles",
        {"at_most": 0},
        "postgres_sessions",
        {"orphan_sessions": 4},
        4,
    ),
    ("old_login_accepted", {"at_most": 0}, "revocation", {"old_login": "accepted"}, 2),
    ("unsealed_voters", {"at_least": 3}, "settled", {"healthy_voters": 2}, 2),
    ("irrevocable_leases", {"at_most": 0}, "telemetry", {"irrevocable_leases": 1}, 1),
    (
        "leaked_secrets",
        {"at_most": 0},
        "secrets",
        {"hits": [{"file": "load.log", "kind": "token"}]},
        1,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[2]}")
def test_server_side_bounds(found: Callable[..., Finding], case: Case) -> None:
    """A figure of the servers beyond its limit breaks the bound, and is the one observed."""
    name, params, probe, fields, observed = case
    finding = found(name, params, measured=changed(samples(), probe, **fields))
    assert (finding.verdict, finding.observed) == ("fail", observed)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[2]}")
def test_server_side_unknown(found: Callable[..., Finding], case: Case) -> None:
    """A figure that the probe did not know is inconclusive."""
    name, params, probe, fields, _ = case
    nothing: dict[str, Any] = dict.fromkeys(fields)
    if name == "leaked_secrets":
        nothing["handled"] = 0
    finding = found(name, params, measured=changed(samples(), probe, **nothing))
    assert finding.verdict == "inconclusive"


@pytest.mark.parametrize(
    "name", ["revoked_roles_left", "sessions_on_revoked_roles", "old_login_accepted"]
)
def test_revoking_nothing_proves_nothing(found: Callable[..., Finding], name: str) -> None:
    """A revocation that found no role to revoke is inconclusive, however clean it looks."""
    rows = changed(samples(), "revocation", revoked_roles=0)
    assert found(name, {"at_most": 0}, measured=rows).verdict == "inconclusive"


def test_unreachable_is_not_refused(found: Callable[..., Finding]) -> None:
    """A login that could not reach Postgres does not show that it would be refused."""
    rows = changed(samples(), "revocation", old_login="unreachable")
    assert found("old_login_accepted", {"at_most": 0}, measured=rows).verdict == "inconclusive"


def test_failed_ratio_and_count(found: Callable[..., Finding], tmp_path: Path) -> None:
    """A pool that never recovers breaks the ratio of the phase."""
    finding = found(
        "failed_ratio", {"phase": "recovery", "at_most": 0.5}, asked=requests(broken=True)
    )
    assert finding.verdict == "fail"
    assert finding.observed is not None
    assert finding.observed > 0.9


def test_a_request_belongs_to_where_it_started(found: Callable[..., Finding]) -> None:
    """A request that starts in the fault phase and fails in the recovery counts for the fault."""
    rows = [*requests(), at(28.4, ok=False, took=5.0)]
    params = {"phase": "recovery", "at_most": 0}
    assert found("failed_requests", params, asked=rows).verdict == "pass"


def test_few_requests_are_inconclusive(found: Callable[..., Finding]) -> None:
    """Fewer than 50 successes and no failure say nothing."""
    rows = [at(30 + n / 10, ok=True) for n in range(49)]
    finding = found("failed_ratio", {"phase": "recovery", "at_most": 0}, asked=rows)
    assert finding.verdict == "inconclusive"


def test_few_requests_can_still_fail(found: Callable[..., Finding]) -> None:
    """When nothing but failures is left there are too few successes, and it is a failure."""
    rows = [at(30 + n / 10, ok=False) for n in range(90)]
    finding = found("failed_ratio", {"phase": "recovery", "at_most": 0.1}, asked=rows)
    assert (finding.verdict, finding.observed) == ("fail", 1)


@pytest.mark.parametrize(
    ("failures", "observed", "verdict"),
    [
        ([], 0, "pass"),
        ([(FAULT - 3.0, 0.01)], 0, "pass"),
        ([(FAULT + 1.0, 0.5)], 1.6, "pass"),
        ([(FAULT - 0.5, 2.5)], 2.1, "pass"),
        ([(FAULT + 1.0, 0.5), (FAULT + 9.0, 0.5)], 9.6, "fail"),
        ([(48.4, 0.5)], math.inf, "fail"),
    ],
)
def test_recovery_seconds(
    found: Callable[..., Finding],
    failures: list[tuple[float, float]],
    observed: float,
    verdict: str,
) -> None:
    """From the fault's start, 0.1 s before it stands, to the last failure before successes only."""
    rows = [at(n / 10, ok=True) for n in range(10, 484)]
    rows += [at(t, ok=False, took=took) for t, took in failures]
    finding = found("recovery_seconds", {"at_most": 5}, asked=rows)
    assert finding.observed == pytest.approx(observed, abs=1e-6)
    assert finding.verdict == verdict


def test_silence_is_no_recovery(found: Callable[..., Finding]) -> None:
    """A service that hangs, so that no request ends, has not recovered in no time."""
    rows = [at(n / 10, ok=True) for n in range(10, 262)]
    assert found("recovery_seconds", {"at_most": 5}, asked=rows).verdict == "inconclusive"


def test_p99_counts_failures_as_slow(found: Callable[..., Finding]) -> None:
    """Failing fast is not fast: beyond one in a hundred the p99 is infinite."""
    rows = [at(30 + n / 100, ok=n % 50 != 0, took=0.001) for n in range(1000)]
    finding = found("p99_seconds", {"phase": "recovery", "at_most": 1.0}, asked=rows)
    assert (finding.verdict, finding.observed) == ("fail", math.inf)


QUICK = [at(FAULT + 1 + n / 100, ok=False, took=0.001) for n in range(400)]


@pytest.mark.parametrize(
    ("asked", "verdict", "observed"),
    [
        (QUICK, "pass", 0.001),
        ([*QUICK, at(FAULT + 6, ok=False, took=9.0)], "fail", 9.0),
        (QUICK[:10], "inconclusive", None),
    ],
)
def test_the_longest_request_may_have_failed(
    found: Callable[..., Finding], asked: Rows, verdict: str, observed: float | None
) -> None:
    """Failing fast is told from hanging, where no request can succeed."""
    finding = found("longest_request_seconds", {"phase": "all", "at_most": 6.0}, asked=asked)
    assert (finding.verdict, finding.observed) == (verdict, observed)


def test_p99_against_the_baseline(found: Callable[..., Finding]) -> None:
    """The limit may be a multiple of the baseline's own p99."""
    rows = [at(12 + n / 100, ok=True, took=0.010) for n in range(1000)]
    rows += [at(30 + n / 100, ok=True, took=0.025) for n in range(1000)]
    params = {"phase": "recovery", "times_baseline": 2.0}
    finding = found("p99_seconds", params, asked=rows)
    assert (finding.verdict, finding.observed, finding.limit) == ("fail", 0.025, 0.02)


def renewals(times: list[float]) -> Rows:
    """The samples with these renewals only."""
    kept = [row for row in samples() if row.get("op") != "renew"]
    more = [{"t": ANCHOR + t, "probe": "audit", "op": "renew", "ok": True} for t in times]
    return [*kept, *more]


@pytest.mark.parametrize(
    ("times", "observed"),
    [([30.0], 1), ([30.0, 30.5, 31.2], 2), ([30.6, 30.9, 31.1, 31.5], 4), ([5.0] * 9 + [30.0], 1)],
)
def test_renewal_peak(found: Callable[..., Finding], times: list[float], observed: float) -> None:
    """The busiest second may begin anywhere after the warm-up; 4 leases count as one a second."""
    finding = found("renewal_peak", {"at_most": 2}, measured=renewals(times))
    assert finding.observed == observed
    assert finding.verdict == ("pass" if observed <= 2 else "fail")


def test_renewal_peak_of_many(found: Callable[..., Finding]) -> None:
    """With 1,200 leases of 60 s an even spread is 20 a second, and 40 in one second are twice."""
    rows = changed(renewals([30 + n / 50 for n in range(40)]), "postgres_roles", leases=1200)
    assert found("renewal_peak", {"at_most": 2}, measured=rows).observed == 2


def test_no_renewal_is_no_peak(found: Callable[..., Finding]) -> None:
    """A run without a renewal was too short to have a peak."""
    finding = found("renewal_peak", {"at_most": 2}, measured=renewals([]))
    assert finding.verdict == "inconclusive"


def issues(*clients: str, **fields: Any) -> Rows:
    """More issues after the fault."""
    row = {"probe": "audit", "op": "issue", "role": "orders", "ok": True, **fields}
    return [{"t": ANCHOR + 30 + n, **row, "client": c} for n, c in enumerate(clients)]


@pytest.mark.parametrize(
    ("more", "observed"),
    [
        ([], 1),
        (issues("c0"), 2),
        (issues("new-1", "new-2"), 1.5),
        (issues("op", "op", operator=True), 1),
        (issues("c0", "c0", ok=False), 1),
        (issues("c0", "c0", role="other"), 1),
    ],
)
def test_issues_per_client(found: Callable[..., Finding], more: Rows, observed: float) -> None:
    """The busiest client's or the mean over those known before; not the canary's, not refused."""
    finding = found("issues_per_client", {"at_most": 1}, measured=[*samples(), *more])
    assert finding.observed == observed


def health(active: Callable[[float], bool], looks: Callable[[float], bool]) -> Rows:
    """Looks four times a second at one node."""
    rows = [row for row in samples() if row["probe"] != "node_health"]
    for step in range(4 * 49):
        t = step / 4
        if looks(t):
            look = {"probe": "node_health", "node": "vault-1", "active": active(t)}
            rows.append({"t": ANCHOR + t, **look, "reachable": True, "sealed": False})
    return rows


@pytest.mark.parametrize(
    ("leaderless", "blind", "verdict", "observed"),
    [
        ((50, 50), (50, 50), "pass", 0.25),
        ((20, 23), (50, 50), "pass", 3.5),
        ((20, 30), (50, 50), "fail", 10.5),
        ((50, 50), (20, 30), "inconclusive", None),
        ((20, 30), (22, 23), "fail", 10.5),
    ],
)
def test_leaderless_seconds(
    found: Callable[..., Finding],
    leaderless: tuple[float, float],
    blind: tuple[float, float],
    verdict: str,
    observed: float | None,
) -> None:
    """A long time without a leader is a failure if it was watched, and unknown if nobody looked."""
    rows = health(
        lambda t: not leaderless[0] <= t <= leaderless[1],
        lambda t: not blind[0] <= t <= blind[1],
    )
    finding = found("leaderless_seconds", {"at_most": 5}, measured=rows)
    assert (finding.verdict, finding.observed) == (verdict, observed)


def without(event: str) -> Rows:
    """The events but one kind."""
    return [row for row in events() if row["event"] != event]


@pytest.mark.parametrize(
    "happened",
    [
        without("load-ended"),
        without("phase-ended"),
        without("phase-started"),
        [*without("load-ended"), {"t": ANCHOR + 49, "event": "load-ended", "exit": 1}],
        [*without("load-ended"), {"t": ANCHOR + 49, "event": "load-ended", "exit": None}],
        [*without("load-ended"), {"t": ANCHOR + 40, "event": "load-ended", "exit": 0}],
        [*events(), {"t": ANCHOR + 9, "event": "probe-failed", "probe": "settled", "error": "x"}],
    ],
)
def test_a_hole_in_the_evidence(found: Callable[..., Finding], happened: Rows) -> None:
    """No bound passes on a run whose load, phases or probe did not come to their end."""
    finding = found("orphan_roles", {"at_most": 0}, happened=happened)
    assert finding.verdict == "inconclusive"


def test_a_crashing_checker_is_unknown(found: Callable[..., Finding]) -> None:
    """A checker that raises is inconclusive, with the error's class as its evidence."""
    finding = found(
        "leaked_secrets", {"at_most": 0}, measured=changed(samples(), "secrets", hits=5)
    )
    assert finding.verdict == "inconclusive"
    assert "TypeError" in finding.detail
