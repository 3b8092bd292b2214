"""The judge: false beats unknown beats true, whatever the run looked like."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_judge_runs import ANCHOR, events, requests, run_json, samples, write_run

from drills.bounds import BOUNDS
from drills.definition import DefinitionError
from drills.judge import judge, judge_folder, worst
from drills.record import History, read
from drills.verdict import EXIT, Verdict

ORDER = {"pass": 0, "inconclusive": 1, "fail": 2}
VERDICTS = st.lists(st.sampled_from(list(ORDER)), min_size=1)
Rows = list[dict[str, Any]]

EVERY_BOUND: list[dict[str, Any]] = [
    {"failed_ratio": {"phase": "recovery", "at_most": 0.01}},
    {"failed_requests": {"phase": "all", "at_most": 2}},
    {"recovery_seconds": {"at_most": 5}},
    {"p99_seconds": {"phase": "recovery", "at_most": 0.5}},
    {"p99_seconds": {"phase": "recovery", "times_baseline": 5}},
    {"longest_request_seconds": {"phase": "all", "at_most": 6}},
    {"renewal_peak": {"at_most": 2}},
    {"renewals_per_client": {"at_most": 10}},
    {"issues_per_client": {"at_most": 1}},
    {"issues_peak": {"at_most": 5}},
    {"issue_delay_seconds": {"phase": "recovery", "at_most": 1}},
    {"lost_leases": {"at_most": 0}},
    {"drain_seconds": {"at_most": 5}},
    {"leases_left": {"at_most": 0}},
    {"duplicate_effects": {"at_most": 0}},
    {"excess_capabilities": {"at_most": 0}},
    {"revoked_roles_left": {"at_most": 0}},
    {"sessions_on_revoked_roles": {"at_most": 0}},
    {"static_sessions": {"at_most": 0}},
    {"old_login_accepted": {"at_most": 0}},
    {"orphan_roles": {"at_most": 0}},
    {"irrevocable_leases": {"at_most": 0}},
    {"leaderless_seconds": {"at_most": 5}},
    {"unsealed_voters": {"at_least": 3}},
    {"untraced_leases": {"at_most": 0}},
    {"leaked_secrets": {"at_most": 0}},
]


def judged(**parts: Any) -> Verdict:
    """The verdict on a made-up run."""
    with TemporaryDirectory() as root:
        return judge(read(write_run(Path(root), **parts)))


def all_bounds() -> dict[str, Any]:
    """run.json of a drill with every bound."""
    info = run_json()
    info["drill"]["bounds"] = EVERY_BOUND
    return info


@cache
def whole() -> History:
    """A run with every bound, which passes."""
    with TemporaryDirectory() as root:
        return read(write_run(Path(root), info=all_bounds()))


def ranks(verdict: Verdict) -> list[int]:
    """How bad each bound is."""
    return [ORDER[each.verdict] for each in verdict.bounds]


def test_every_bound_is_tried_here() -> None:
    """The run that the properties start from has every bound, and passes them all."""
    assert {name for item in EVERY_BOUND for name in item} == set(BOUNDS)
    verdict = judge(whole())
    assert (verdict.verdict, verdict.exit) == ("pass", 0), verdict


@given(VERDICTS, st.randoms())
def test_false_beats_unknown_beats_true(verdicts: list[Any], random: Any) -> None:
    """The worst of a mix decides, in any order."""
    shuffled = random.sample(verdicts, len(verdicts))
    assert worst(verdicts) == worst(shuffled) == max(verdicts, key=ORDER.__getitem__)


def test_nothing_judged_is_unknown() -> None:
    """No bound at all does not pass."""
    assert worst([]) == "inconclusive"


NOT_VITAL = {"run-started", "load-started", "fault-undoing"}


@pytest.mark.parametrize("event", sorted({row["event"] for row in events()} - NOT_VITAL))
def test_every_event_is_wanted(event: str) -> None:
    """Without any one of the events that matter the run does not pass, whatever its bounds."""
    info = run_json("leader-kill")
    info["drill"]["faults"] = [{"revoke-prefix": {"role": "orders"}}]
    info["drill"]["bounds"] = [{"failed_requests": {"phase": "all", "at_most": 1}}]
    assert judged(info=info).verdict == "pass"
    happened = [row for row in events() if row["event"] != event]
    assert judged(info=info, happened=happened).verdict != "pass"


@pytest.mark.parametrize("probe", sorted({row["probe"] for row in samples()}))
def test_every_probe_is_wanted(probe: str) -> None:
    """Without any one of the probes the drill with every bound does not pass."""
    measured = [row for row in samples() if row["probe"] != probe]
    assert judged(info=all_bounds(), measured=measured).verdict != "pass"


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.sampled_from(sorted({row["probe"] for row in samples()}))),
    st.sets(st.sampled_from(sorted({row["event"] for row in events()}))),
    st.booleans(),
)
def test_less_evidence_never_improves(probes: set[str], gone: set[str], silent: bool) -> None:
    """Without a probe, an event or the requests no bound, and no run, turns into a pass."""
    happened = [row for row in events() if row["event"] not in gone]
    measured = [row for row in samples() if row["probe"] not in probes]
    parts: dict[str, Any] = {"asked": []} if silent else {}
    verdict = judged(info=all_bounds(), happened=happened, measured=measured, **parts)
    if gone - NOT_VITAL or silent or probes:
        assert verdict.verdict != "pass"
    assert "fail" not in {each.verdict for each in verdict.bounds}


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 60),
    st.lists(st.tuples(st.floats(0, 52), st.floats(0, 5)), min_size=1, max_size=8),
)
def test_a_failed_request_never_improves(kept: int, more: list[tuple[float, float]]) -> None:
    """One more failed request makes no bound better, with many requests or few."""
    asked = requests() if kept > 55 else requests()[:: 1 + kept]
    verdict = judged(info=all_bounds(), asked=asked)
    for t, took in more:
        asked.append({"t": ANCHOR + t, "s": took, "op": "q", "ok": False, "error": "E"})
        worse = judged(info=all_bounds(), asked=asked)
        assert all(one <= other for one, other in zip(ranks(verdict), ranks(worse), strict=True))
        verdict = worse


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_order_of_lines_does_not_matter(seed: int) -> None:
    """The same samples and requests in another order give the same verdict to the last figure."""
    random = Random(seed)  # noqa: S311  # hypothesis draws too slowly for so many lines
    measured, asked = samples(), requests()
    random.shuffle(measured)
    random.shuffle(asked)
    assert judged(info=all_bounds(), measured=measured, asked=asked) == judge(whole())


def with_events(*more: dict[str, Any], outcome: str = "completed") -> Rows:
    """The events with some more before the end."""
    rows = events(outcome)
    return [*rows[:-1], *({"t": ANCHOR + 51, **row} for row in more), rows[-1]]


UNVERIFIED = {"event": "fault-undone", "fault": "revoke-prefix", "verified": False}
INJECTED = {"event": "fault-injecting", "fault": "node-kill", "params": {}}
TRIGGERED = {"event": "safeguard-triggered", "safeguard": "failed_ratio"}
TRIGGERED |= {"observed": 0.9, "limit": 0.5}


@pytest.mark.parametrize(
    ("happened", "verdict"),
    [
        (with_events(), "pass"),
        (with_events(outcome="failed"), "inconclusive"),
        (with_events(outcome="strange"), "inconclusive"),
        (with_events()[:-1], "inconclusive"),
        (with_events(outcome="aborted"), "aborted"),
        (with_events(TRIGGERED), "aborted"),
        (with_events(outcome="interrupted"), "interrupted"),
        (with_events({"event": "interrupted", "signal": "SIGINT"})[:-1], "interrupted"),
        (with_events(outcome="undo-failed"), "undo-failed"),
        (with_events(INJECTED), "undo-failed"),
        (with_events(INJECTED, TRIGGERED, outcome="aborted"), "undo-failed"),
        (with_events(INJECTED, {**UNVERIFIED, "fault": "node-kill"}), "undo-failed"),
    ],
)
def test_verdict_of_the_run(happened: Rows, verdict: str) -> None:
    """undo-failed beats aborted and interrupted, and these beat the bounds; each has its exit."""
    made = judged(happened=happened)
    assert (made.verdict, made.exit) == (verdict, EXIT[made.verdict])
    assert bool(made.reason) == (verdict != "pass")


def test_a_broken_harness_does_not_hide_a_failure() -> None:
    """A bound that was seen broken stays broken when the harness could not go on."""
    made = judged(happened=with_events(outcome="failed"), asked=requests(broken=True))
    assert (made.verdict, made.exit) == ("fail", 99)


def test_a_static_pool_fails_and_names_its_bounds() -> None:
    """The drill tells a bad client from a good one, by the bounds that it breaks."""
    made = judged(asked=requests(broken=True))
    assert made.exit == 99
    broken = {each.name for each in made.bounds if each.verdict == "fail"}
    assert broken == {"failed_ratio", "recovery_seconds"}


def test_figures(tmp_path: Path) -> None:
    """The figures tell what was measured, whether a bound asks for it or not."""
    figures = judge(whole()).figures
    assert figures["requests"] == 950
    assert figures["failed"] == 1
    assert figures["requests_per_second"] == 20
    assert figures["leader_changes"] == 1
    assert figures["issues"] == 8 - 4
    assert figures["leases_at_peak"] == 4
    assert figures["peak_renewals_per_second"] == 1
    assert "abort_latency_seconds" not in figures


def test_abort_latency() -> None:
    """After a safeguard the figures have the time until the last fault was undone."""
    happened = [*events("aborted"), {"t": ANCHOR + 27.3, **TRIGGERED}]
    assert judged(happened=happened).figures["abort_latency_seconds"] == 1


def test_the_folder_is_judged_the_same_again(tmp_path: Path) -> None:
    """Judging a folder twice writes the same bytes."""
    path = write_run(tmp_path)
    names = ("verdict.json", "junit.xml", "report.html")
    made = judge_folder(path)
    first = [(path / name).read_bytes() for name in names]
    assert judge_folder(path) == made
    assert [(path / name).read_bytes() for name in names] == first
    assert Verdict.model_validate(json.loads(first[0])) == made


def test_a_broken_definition_is_named(tmp_path: Path) -> None:
    """A run.json whose drill is none is bad input, told in one line, and nothing is written."""
    info = run_json()
    info["drill"]["bounds"][0] = {"failed_ration": {}}
    path = write_run(tmp_path, info=info)
    with pytest.raises(DefinitionError, match=r"run\.json: drill: bounds\[0\]\.failed_ration"):
        judge_folder(path)
    assert not (path / "verdict.json").exists()


def test_an_old_fault_can_still_be_judged() -> None:
    """A run with a fault that no longer exists is judged all the same."""
    info = run_json()
    info["drill"]["faults"] = [{"gone-by-now": {}}]
    happened = [{**row, "fault": "gone-by-now"} if "fault" in row else row for row in events()]
    assert judged(info=info, happened=happened).verdict == "pass"


def test_history_is_not_changed() -> None:
    """Judging is a pure function: the history is the same afterwards."""
    history = whole()
    before = replace(history)
    judge(history)
    assert history == before
