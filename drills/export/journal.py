"""A run as a journal of Chaos Toolkit's, for the tools that read those.

Made of the run folder alone. The faults are its `run` and `rollbacks`, the bounds the probes of the
steady state after; the steady state before is the baseline phase, met when no request failed in it.
What the format has no place for (phases, figures, the verdict itself) is under `rotation-drills`.
Format: https://chaostoolkit.org/reference/api/journal/
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from drills.bounds.evidence import tally
from drills.bounds.history import FaultTimes, History
from drills.verdict import Verdict

_STATUS = {"pass": "completed", "fail": "completed", "inconclusive": "failed"}
_STATUS |= {"aborted": "aborted", "interrupted": "interrupted", "undo-failed": "failed"}


def journal(history: History, verdict: Verdict) -> dict[str, Any]:
    """Return the journal of a run and its verdict."""

    def clock(t: float) -> str:
        unix = history.info.anchor.unix + t - history.info.anchor.monotonic
        return datetime.fromtimestamp(unix, UTC).isoformat()

    drill = history.info.drill
    return {
        "chaoslib-version": None,  # its library had no part in it
        "platform": "rotation-drills " + verdict.versions.get("rotation-drills", "unknown"),
        "node": f"stack {verdict.stack}",
        "experiment": {
            "version": "1.0.0",
            "title": str(drill.get("title", verdict.drill)),
            "description": str(drill.get("catches", "")),
            "tags": list(drill.get("tags") or []),
            "method": [],
        },
        "start": clock(history.start),
        "end": clock(history.end),
        "duration": history.end - history.start,
        "status": _STATUS[verdict.verdict],
        "deviated": verdict.verdict == "fail",
        "steady_states": {
            "before": _before(history, clock),
            "after": _after(history, verdict, clock),
            "during": [],
        },
        "run": [_fault(each, clock) for each in history.faults],
        "rollbacks": [_undoing(each, clock) for each in history.faults if each.undone],
        "rotation-drills": verdict.model_dump(mode="json"),
    }


def _step(name: str, start: float, end: float, clock: Any, **more: Any) -> dict[str, Any]:
    return {
        "activity": {"type": "action", "name": name},
        "output": None,
        "start": clock(start),
        "end": clock(end),
        "duration": end - start,
        "exception": None,
        **more,
    }


def _fault(fault: FaultTimes, clock: Any) -> dict[str, Any]:
    placed = fault.injected is not None
    end = fault.injecting if fault.injected is None else fault.injected
    step = _step(
        fault.name, fault.injecting, end, clock, status="succeeded" if placed else "failed"
    )
    step["activity"]["provider"] = {"type": "rotation-drills", "arguments": dict(fault.params)}
    return step


def _undoing(fault: FaultTimes, clock: Any) -> dict[str, Any]:
    at = fault.injecting if fault.undone is None else fault.undone
    status = "succeeded" if fault.verified else "failed"
    words = "; ".join(fault.problems) or None
    return _step(f"undo {fault.name}", at, at, clock, status=status, output=words)


def _before(history: History, clock: Any) -> dict[str, Any] | None:
    phase = history.phases.get("baseline")
    if phase is None or not phase.complete:
        return None
    ok, failed = tally(history, phase.start, phase.end)
    met = ok > 0 and failed == 0
    step = _step("baseline", phase.start, phase.end, clock, status="succeeded", tolerance_met=met)
    step["activity"]["type"] = "probe"
    step["output"] = {"requests": ok + failed, "failed": failed}
    return {"steady_state_met": met, "probes": [step]}


def _after(history: History, verdict: Verdict, clock: Any) -> dict[str, Any]:
    probes = []
    for bound in verdict.bounds:
        known = bound.verdict != "inconclusive"
        step = _step(
            bound.name,
            history.end,
            history.end,
            clock,
            status="succeeded" if known else "failed",
            tolerance_met=bound.verdict == "pass",
        )
        step["activity"]["type"] = "probe"
        step["output"] = bound.model_dump(mode="json")
        probes.append(step)
    return {"steady_state_met": verdict.verdict == "pass", "probes": probes}
