"""The bounds of the storm drills, and of foreign loads, on made-up evidence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_judge_runs import ANCHOR, FAULT, PHASES, requests, run_json, samples, write_run

from drills.bounds import BOUNDS, Finding, evaluate
from drills.bounds.holders import Holder, last_below
from drills.record import read

Rows = list[dict[str, Any]]
END = PHASES["recovery"][1]
TTL = 20.0


def asked(op: str, client: str, *times: float, **fields: Any) -> Rows:
    """Audited requests of one client at these seconds of the run."""
    row = {"probe": "audit", "op": op, "role": "orders", "client": client, "ok": True, **fields}
    return [{"t": ANCHOR + t, **row} for t in times]


def steady(client: str, start: float = 0.5) -> Rows:
    """A client that takes a lease at `start` and renews it every 12 s to the end."""
    renewals = [start + 12 * n for n in range(1, 5) if start + 12 * n < END]
    return asked("issue", client, start) + asked("renew", client, *renewals)


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., Finding]:
    """Judges one bound on a run with this audit log, leases of 20 s, and a fleet if told."""

    def judge(name: str, params: dict[str, Any], log: Rows, **more: Any) -> Finding:
        info = run_json()
        info["platform"]["default_ttl_seconds"] = TTL
        if "fleet" in more:
            info["drill"]["load"] = {"fleet": more.pop("fleet")}
        rows = [row for row in samples() if row["probe"] != "audit"]
        rows += log
        bound = BOUNDS[name]
        history = read(write_run(tmp_path, info=info, measured=rows, **more))
        return evaluate(bound, bound.params.model_validate(params), history)

    return judge


def restarted(t: float) -> Rows:
    """The fault `fleet-restart` at `t`."""
    return [{"t": ANCHOR + t, "probe": "fleet_restart"}]


# -- lost_leases ------------------------------------------------------------------------------


def test_a_lease_that_is_kept_is_not_lost(found: Callable[..., Finding]) -> None:
    """Renewals within the ttl lose nothing, nor does logging out."""
    log = steady("a") + asked("issue", "b", 2) + asked("logout", "b", 3, role=None)
    finding = found("lost_leases", {"at_most": 0}, log)
    assert (finding.verdict, finding.observed) == ("pass", 0)


@pytest.mark.parametrize(
    ("log", "lost"),
    [
        (asked("issue", "a", 1, 25) + asked("renew", "a", 37), 1),  # taken anew, too late
        (asked("issue", "a", 1), 1),  # never heard of again
        (asked("issue", "a", 1, 22, 43), 2),
        (asked("issue", "a", 1, 20.99, 30) + asked("renew", "a", 40), 1),  # taken as it ended
        (asked("issue", "a", 1, 18, 35) + asked("renew", "a", 45), 0),  # taken in time
        (asked("issue", "a", 1) + asked("renew", "a", 12, 32.4, 44), 0),  # a late answer
        (asked("issue", "a", 1) + asked("renew", "a", 12, ok=False), 1),  # a refusal keeps nothing
    ],
)
def test_leases_that_are_lost(found: Callable[..., Finding], log: Rows, lost: int) -> None:
    """A lease counts as lost when its client has none for a while, and once each time."""
    finding = found("lost_leases", {"at_most": 0}, [*steady("other"), *log])
    assert finding.observed == lost
    assert finding.verdict == ("fail" if lost else "pass")


def test_what_a_restart_ended_is_not_lost(found: Callable[..., Finding]) -> None:
    """Clients that the drill killed lost nothing; those that came after them can."""
    log = [*steady("old")[:2], *restarted(26.3), *steady("new", 27.0)]
    assert found("lost_leases", {"at_most": 0}, log).verdict == "pass"


def test_new_clients_can_lose_after_a_restart(found: Callable[..., Finding]) -> None:
    """A client that started after the restart and then fell silent has lost its lease."""
    log = [*steady("old")[:2], *restarted(26.3), *asked("issue", "new", 27.0)]
    assert found("lost_leases", {"at_most": 0}, log).observed == 1


def test_nobody_with_a_lease_is_inconclusive(found: Callable[..., Finding]) -> None:
    """An audit log without a lease shows no lost one, and proves nothing."""
    log = asked("login", "a", 1, role=None)
    assert found("lost_leases", {"at_most": 0}, log).verdict == "inconclusive"


def test_giving_back_at_the_end_is_not_passing_by(found: Callable[..., Finding]) -> None:
    """What clients do once the load ends is not held for them: one that lost a lease lost it."""
    log = asked("issue", "a", 1) + asked("logout", "a", END + 1, role=None)
    assert found("lost_leases", {"at_most": 0}, log).observed == 1


# -- drain_seconds ----------------------------------------------------------------------------


def test_drained_when_the_last_one_is_served(found: Callable[..., Finding]) -> None:
    """From the beginning of the fault to the last client's first lease."""
    log = [row for n in range(10) for row in steady(f"c{n}", 27.1 + n / 2)]
    params = {"at_most": 6, "since": "injected"}
    finding = found("drain_seconds", params, log, fleet=10)
    assert finding.observed == pytest.approx(31.6 - 26.1)
    assert finding.verdict == "pass"


def test_never_drained(found: Callable[..., Finding]) -> None:
    """One client of ten that is never served: there is no end to it."""
    log = [row for n in range(9) for row in steady(f"c{n}", 27.1)]
    finding = found("drain_seconds", {"at_most": 60, "since": "injected"}, log, fleet=10)
    assert (finding.verdict, finding.observed) == ("fail", float("inf"))


def test_nothing_to_drain(found: Callable[..., Finding]) -> None:
    """Nobody lost a lease: the storm was over before it began."""
    log = [row for n in range(5) for row in steady(f"c{n}")]
    finding = found("drain_seconds", {"at_most": 0}, log)
    assert (finding.verdict, finding.observed) == ("pass", 0)


def test_passers_by_do_not_stand_in(found: Callable[..., Finding]) -> None:
    """A newcomer that holds a lease for a moment does not count for a client that has none."""
    log = steady("a") + asked("issue", "b", 1) + asked("issue", "b", 40) + asked("renew", "b", 45)
    log += asked("issue", "n", 27) + asked("logout", "n", 48, role=None)
    finding = found("drain_seconds", {"at_most": 5}, log, fleet=2)
    assert finding.verdict == "fail"
    assert finding.observed == pytest.approx(40 - 28.3)


# -- issues_peak, issue_delay_seconds, renewal_peak --------------------------------------------


def test_issues_peak_counts_failures_not_the_operator(found: Callable[..., Finding]) -> None:
    """Asked is asked; what the drill asks itself is not the clients'."""
    log = asked("issue", "a", 30, 30.2) + asked("issue", "a", 30.4, 30.6, ok=False)
    log += asked("issue", "op", 30.1, 30.3, operator=True) + asked("issue", "a", 31.5)
    assert found("issues_peak", {"at_most": 3}, log).observed == 4


def test_issues_before_the_baseline_are_no_peak(found: Callable[..., Finding]) -> None:
    """The load's own start is warm-up."""
    log = asked("issue", "a", *(5 + n / 100 for n in range(50))) + asked("issue", "a", 30)
    assert found("issues_peak", {"at_most": 3}, log).observed == 1


def newcomers(*waits: float | None) -> Rows:
    """Newcomers of the recovery; None was never served."""
    return [
        {"t": ANCHOR + 30 + n / 10, "s": wait or 9, "op": "newcomer", "ok": wait is not None}
        for n, wait in enumerate(waits)
    ]


@pytest.mark.parametrize(
    ("waits", "verdict"),
    [
        ([0.1] * 10, "pass"),
        ([0.1] * 9, "inconclusive"),
        ([0.1] * 9 + [5.0], "fail"),
        ([0.1] * 9 + [None], "fail"),
        ([0.1] * 120 + [None], "pass"),
    ],
)
def test_issue_delay(
    found: Callable[..., Finding], waits: list[float | None], verdict: str
) -> None:
    """The 99th percentile of the newcomers' waits; never served is slower than any."""
    params = {"phase": "recovery", "at_most": 1}
    others = [row for row in requests() if row["op"] != "newcomer"]
    finding = found("issue_delay_seconds", params, steady("a"), asked=others + newcomers(*waits))
    assert finding.verdict == verdict


def test_a_load_without_newcomers_says_so(found: Callable[..., Finding]) -> None:
    """Loads of another kind send none: inconclusive, with the reason."""
    others = [row for row in requests() if row["op"] != "newcomer"]
    params = {"phase": "recovery", "at_most": 1}
    finding = found("issue_delay_seconds", params, steady("a"), asked=others)
    assert finding.verdict == "inconclusive"
    assert "only a fleet sends them" in finding.detail


def test_leases_left_behind_do_not_forgive_a_peak(found: Callable[..., Finding]) -> None:
    """Of a fleet, a lease a client counts, however many the crashed ones have left in Vault."""
    log = asked("renew", "a", *(30 + n / 100 for n in range(20)))
    finding = found("renewal_peak", {"at_most": 3}, log, fleet=100)
    assert finding.observed == 20 / (100 / TTL)


# -- issues_per_client of a service that ran before ---------------------------------------------


def test_clients_from_before_the_run_are_known(found: Callable[..., Finding]) -> None:
    """A service that took its leases long ago and renewed them since is known by its renewals."""
    log = asked("issue", "a", -200) + asked("renew", "a", *range(-188, 26, 12))
    log += asked("issue", "a", FAULT + 0.1)
    finding = found("issues_per_client", {"at_most": 1}, log)
    assert (finding.verdict, finding.observed) == ("pass", 1)


def test_the_dead_are_not_known(found: Callable[..., Finding]) -> None:
    """Clients that ended before the fault do not share the blame for new leases."""
    log = [row for n in range(9) for row in asked("issue", f"dead{n}", -100)]
    log += asked("issue", "gone", 20) + asked("logout", "gone", 21, role=None)
    log += steady("a")[:3] + asked("issue", "b", 27, 28)
    finding = found("issues_per_client", {"at_most": 1}, log)
    assert (finding.verdict, finding.observed) == ("fail", 2)


def test_a_service_of_another_vault_is_inconclusive(found: Callable[..., Finding]) -> None:
    """Where nobody held a lease of the role before the fault, the bound says so."""
    finding = found("issues_per_client", {"at_most": 1}, asked("issue", "a", 30))
    assert finding.verdict == "inconclusive"
    assert "do its clients use this stack?" in finding.detail


# -- the arithmetic -------------------------------------------------------------------------------

TIMES = st.lists(st.integers(0, 100), min_size=1, max_size=6).map(sorted)


@settings(deadline=None)
@given(st.lists(TIMES, max_size=5), st.integers(1, 5), st.integers(1, 30))
def test_last_below_is_what_looking_each_second_finds(
    everyone: list[list[int]], wanted: int, ttl: int
) -> None:
    """The sweep finds the very second that counting at each second finds."""
    holders = [Holder([(float(t), "renew") for t in times]) for times in everyone]

    def held(t: float) -> int:
        return sum(any(at <= t < at + ttl for at in times) for times in everyone)

    last, fewest = last_below(holders, wanted, float(ttl), 10.0, 90.0)
    counts = {t: held(t) for t in range(10, 90)}
    below = [t for t, count in counts.items() if count < wanted]
    assert last == (below[-1] + 1 if below else None)
    assert fewest == min([wanted, *counts.values()])
