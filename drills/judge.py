"""The judge: bounds against a run folder. Reads files, touches nothing else, so that every verdict
can be made again anywhere from the files alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from drills.bounds import BOUNDS, evaluate
from drills.bounds.evidence import (
    audit_times,
    durations,
    live_leases,
    peak_per_second,
    percentile,
    recovery,
    tally,
)
from drills.bounds.history import History, read
from drills.definition import Drill
from drills.record import write_atomically
from drills.recorded import recorded_drill
from drills.verdict import EXIT, BoundResult, BoundVerdict, RunVerdict, Verdict


def judge(history: History) -> Verdict:
    """Judge every bound, then the run. Raises `DefinitionError` for a broken run.json."""
    drill = recorded_drill(history)
    results: list[BoundResult] = []
    for spec in drill.bounds:
        finding = evaluate(BOUNDS[spec.name], spec.params, history)
        results.append(
            BoundResult(
                name=spec.name,
                phase=finding.phase,
                observed=_rounded(finding.observed),
                limit=_rounded(finding.limit),
                verdict=finding.verdict,
                detail=" ".join(finding.detail.split()),
            )
        )
    verdict, reason = _of_run(history, drill, worst(each.verdict for each in results))
    return Verdict(
        drill=drill.drill,
        run=history.info.run,
        stack=history.info.stack,
        pool=history.info.pool,
        verdict=verdict,
        exit=EXIT[verdict],
        reason=reason,
        bounds=tuple(results),
        figures=figures(history),
        versions=dict(sorted(history.info.versions.items())),
        started=history.info.started,
        seconds=round(history.end - history.start, 3),
    )


def judge_folder(path: Path) -> Verdict:
    """Judge the run folder `path` and write verdict.json, junit.xml and report.html into it.

    The same folder always gives the same bytes. Raises `RecordError` or `DefinitionError` and
    then writes nothing.
    """
    from drills.report import html, junit  # noqa: PLC0415  # a verdict needs no chart library

    history = read(path)
    verdict = judge(history)
    write_atomically(path / "verdict.json", verdict.model_dump_json(indent=2) + "\n")
    write_atomically(path / "junit.xml", junit.render(verdict))
    write_atomically(path / "report.html", html.render(history, verdict))
    return verdict


def worst(verdicts: Iterable[BoundVerdict]) -> BoundVerdict:
    """False beats unknown beats true; nothing judged is unknown."""
    given = set(verdicts)
    if "fail" in given:
        return "fail"
    return "pass" if given == {"pass"} else "inconclusive"


def _of_run(history: History, drill: Drill, bounds: BoundVerdict) -> tuple[RunVerdict, str]:
    """What the run as a whole is called, and why if the bounds did not decide."""
    ended = history.named("run-ended")
    outcome = ended[-1].get("outcome") if ended else None
    standing = [each for each in history.faults if not each.verified]
    if standing or outcome == "undo-failed":
        names = ", ".join(sorted({each.name for each in standing})) or "a fault"
        problems = "; ".join(problem for each in standing for problem in each.problems)
        return "undo-failed", f"{names} was not shown to be undone{problems and ': ' + problems}"
    triggered = history.named("safeguard-triggered")
    if outcome == "interrupted" or (history.named("interrupted") and not triggered):
        signals = [str(row.get("signal")) for row in history.named("interrupted")]
        return "interrupted", f"interrupted by {signals[0] if signals else 'its user'}"
    if outcome == "aborted" or triggered:
        return "aborted", _abort_reason(triggered)
    placed = [each.name for each in history.faults if each.injected is not None]
    missing = [name for name, _ in drill.faults if name not in placed]
    if outcome == "completed" and not missing:
        return bounds, ""
    if outcome == "completed":
        # Without its fault a drill is a load test, and a bad client passes it.
        reason = f"fault {', '.join(missing)} was never in place: nothing was put to the test"
    elif outcome == "failed":
        reason = f"the harness could not go on: {ended[-1].get('error')}"
    elif outcome is None:
        reason = "the run has no end: the runner died"
    else:
        reason = f"the run ended with an outcome that nobody knows: {outcome}"
    return worst((bounds, "inconclusive")), " ".join(reason.split())


def _abort_reason(triggered: tuple[Mapping[str, Any], ...]) -> str:
    if not triggered:
        return "aborted"
    row = triggered[0]
    return (
        f"safeguard {row.get('safeguard')} saw {row.get('observed')}, its limit is "
        f"{row.get('limit')}"
    )


def figures(history: History) -> dict[str, int | float | None]:
    """What was measured, whether a bound asks for it or not. Times are seconds; null: unknown."""
    made: dict[str, float | None] = {}
    window = history.window("all")
    if window is not None:
        ok, failed = tally(history, window.start, window.end)
        made["requests"] = ok + failed
        made["failed"] = failed
        if window.seconds > 0:
            made["requests_per_second"] = (ok + failed) / window.seconds
    for name, phase in history.phases.items():
        took = durations(history, phase.start, phase.end)
        ok, failed = tally(history, phase.start, phase.end)
        made[f"requests_{name}"] = ok + failed
        made[f"failed_{name}"] = failed
        made[f"p50_seconds_{name}"] = percentile(took, 0.50)
        made[f"p99_seconds_{name}"] = percentile(took, 0.99)
    if history.faults:
        found = recovery(history)
        still = found is None or (found[1] > 0 and found[2] == 0)
        made["recovery_seconds"] = None if found is None or still else found[0]
        first, last = history.faults[0], history.faults[-1]
        if last.injected is not None:
            made["injection_seconds"] = last.injected - first.injecting
    if window is not None and history.probe("audit"):
        renewals = audit_times(history, "renew", window.start, window.end)
        made["renewals"] = len(renewals)
        made["peak_renewals_per_second"] = peak_per_second(renewals)
        issues = audit_times(history, "issue", window.start, window.end)
        made["issues"] = len(issues)
        made["peak_issues_per_second"] = peak_per_second(issues)
    leases = [count for _, count in live_leases(history)]
    if leases:
        made["leases_at_peak"] = max(leases)
    if history.probe("node_health"):
        made["leader_changes"] = _leader_changes(history)
    triggered = history.named("safeguard-triggered")
    undone = [each.undone for each in history.faults if each.undone is not None]
    if triggered and undone:
        made["abort_latency_seconds"] = max(undone) - float(triggered[0]["t"])
    return {name: _rounded(value, finite=True) for name, value in made.items()}


def _leader_changes(history: History) -> int:
    leaders = [row["node"] for row in history.probe("node_health") if row["active"] is True]
    return sum(one != other for one, other in pairwise(leaders))


def _rounded(value: float | None, *, finite: bool = False) -> int | float | None:
    """Six digits after the point: below the clock's own noise, and the same on every machine."""
    if value is None or value != value or (finite and abs(value) == float("inf")):  # noqa: PLR0124
        return None
    return int(value) if value == value // 1 < float("inf") else round(float(value), 6)
