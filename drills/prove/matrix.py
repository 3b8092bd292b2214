"""The cells of the matrix, and running them one after the other on one stack."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from drills.definition import Drill, FaultSpec
from drills.errors import SetupError
from drills.prove.defects import GOOD_POOL, Named
from drills.recovery import Say
from drills.verdict import Verdict

Outcome = Literal["caught", "passed", "missed", "other-bound", "false-alarm", "unknown", "not-had"]
#: Those that are as they should be.
EXPECTED: frozenset[Outcome] = frozenset({"caught", "passed"})
#: How often a cell is run for as long as it is inconclusive.
TRIES = 2
GOOD = "none (the good client)"
CONTROL = "none (the control)"


@dataclass(frozen=True)
class Plan:
    """One cell: what is wrong (nothing, for the good client), with which drill, and in which of
    its bounds it should show. `why_not` is why the cell can't be had."""

    defect: str
    about: str
    drill: str
    bounds: tuple[str, ...]
    pool: str
    faults: tuple[tuple[str, dict[str, Any]], ...] = ()
    why_not: str | None = None

    @property
    def expected(self) -> str:
        """The verdict that is expected."""
        return "fail" if self.bounds else "pass"


@dataclass(frozen=True)
class Cell:
    """A cell that was run, or could not be."""

    plan: Plan
    outcome: Outcome
    verdict: str | None
    broke: tuple[str, ...]
    reason: str
    seconds: float
    run: str | None
    tries: int = 1

    def as_json(self) -> dict[str, Any]:
        """The row of prove.json."""
        return {
            "defect": self.plan.defect,
            "about": self.plan.about,
            "drill": self.plan.drill,
            "pool": self.plan.pool,
            "expected": {"verdict": self.plan.expected, "one_of": list(self.plan.bounds)},
            "verdict": self.verdict,
            "broke": list(self.broke),
            "outcome": self.outcome,
            "as_expected": self.outcome in EXPECTED,
            "reason": self.reason,
            "seconds": self.seconds,
            "run": self.run,
            "tries": self.tries,
        }


def plan(
    defects: Sequence[Named],
    drills: Iterable[Drill],
    *,
    drill: str | None = None,
    repeats: int = 1,
    good: bool = True,
    control: str | None = None,
) -> list[Plan]:
    """Return the cells: each drill first `repeats` times with the good client, then once with the
    pool `control`, then its defects.

    A drill that is not there makes its cells ones that can't be had. Raises `SetupError` for a
    `drill` that none of the defects is meant for.
    """
    known = {each.drill: each for each in drills}
    wanted = sorted({name for each in defects for name in each.defect.caught_by})
    if drill is not None and drill not in wanted:
        raise SetupError(f"--drill {drill}: it is to catch none; there are: {', '.join(wanted)}")
    plans: list[Plan] = []
    for name in [drill] if drill else wanted:
        if good and name in known:
            plans += [Plan(GOOD, "nothing is wrong", name, (), GOOD_POOL)] * repeats
        if good and name in known and control is not None:
            about = "the bad clients without their defects"
            plans.append(Plan(CONTROL, about, name, (), control))
        for each in defects:
            bounds = each.defect.caught_by.get(name)
            if bounds is None:
                continue
            missing = None if name in known else f"there is no drill {name}"
            if name in known:
                there = {bound for bound, _ in known[name].bounds}
                gone = [bound for bound in bounds if bound not in there]
                if len(gone) == len(bounds):
                    missing = f"drill {name} has no bound {', '.join(gone)}"
            plans.append(
                Plan(
                    each.name,
                    each.about,
                    name,
                    bounds,
                    each.defect.pool,
                    each.defect.faults,
                    missing,
                )
            )
    return plans


def with_faults(drill: Drill, faults: Iterable[tuple[str, dict[str, Any]]]) -> Drill:
    """Return the drill with `faults` before its own."""
    before = tuple(FaultSpec(name, dict(params)) for name, params in faults)
    return drill.model_copy(update={"faults": (*before, *drill.faults)})


def judge_cell(plan: Plan, verdict: Verdict) -> tuple[Outcome, tuple[str, ...], str]:
    """Return outcome, the bounds that broke, and why, of a cell that was run.

    Only a verdict of `fail` in one of the named bounds is a catch; whatever left the question
    open (inconclusive, aborted, interrupted, not undone) is unknown.
    """
    broke = tuple(bound.name for bound in verdict.bounds if bound.verdict == "fail")
    named = [
        bound for bound in verdict.bounds if bound.verdict == "fail" and bound.name in plan.bounds
    ]
    told = named or [bound for bound in verdict.bounds if bound.verdict != "pass"]
    reason = verdict.reason or "; ".join(f"{each.name}: {each.detail}" for each in told)
    if verdict.verdict not in {"pass", "fail"}:
        return "unknown", broke, reason
    if not plan.bounds:
        return ("passed" if verdict.verdict == "pass" else "false-alarm"), broke, reason
    if verdict.verdict == "pass":
        return "missed", broke, reason
    return ("caught" if named else "other-bound"), broke, reason


def run(
    plans: Sequence[Plan],
    drills: Iterable[Drill],
    execute: Callable[[Drill, str], tuple[Verdict, Path]],
    clean_up: Callable[[], None],
    *,
    say: Say,
) -> Iterator[Cell]:
    """Run the cells in turn and yield each; `clean_up` goes before each, and after the last.

    One that is inconclusive (the machine was too busy for the load, say) is run once more, and
    says so; no other outcome is. Ends early after Ctrl-C and after a fault that could not be
    undone: the cell that it happened in is yielded, those that would have followed are not. A
    cell that preflight refuses, or before which the stack does not come to rest, can't be had.
    """
    known = {each.drill: each for each in drills}
    for number, each in enumerate(plans, start=1):
        place = f"[{number}/{len(plans)}]"
        say(f"{place} {each.defect} in {each.drill}")
        for tried in range(1, TRIES + 1):
            cell = replace(_one(each, known, execute, clean_up), tries=tried)
            say(f"{place} {cell.outcome}: {cell.reason or 'all bounds kept'}")
            if cell.verdict != "inconclusive":
                break
        yield cell
        if cell.verdict in {"interrupted", "undo-failed"}:
            return
    clean_up()


def _one(
    plan: Plan,
    known: Mapping[str, Drill],
    execute: Callable[[Drill, str], tuple[Verdict, Path]],
    clean_up: Callable[[], None],
) -> Cell:
    """Run one cell once."""
    if plan.why_not is not None:
        return Cell(plan, "not-had", None, (), plan.why_not, 0.0, None)
    started = time.monotonic()
    try:
        clean_up()
        verdict, path = execute(with_faults(known[plan.drill], plan.faults), plan.pool)
    except SetupError as error:
        return Cell(plan, "not-had", None, (), str(error), 0.0, None)
    outcome, broke, reason = judge_cell(plan, verdict)
    seconds = round(time.monotonic() - started, 1)
    return Cell(plan, outcome, verdict.verdict, broke, reason, seconds, path.name)


def exit_status(cells: Sequence[Cell], planned: int) -> int:
    """0: every planned cell is as expected; 130: Ctrl-C; 5: a fault stands; else 99."""
    verdicts = {cell.verdict for cell in cells}
    if "interrupted" in verdicts:
        return 130
    if "undo-failed" in verdicts:
        return 5
    whole = len(cells) == planned and all(cell.outcome in EXPECTED for cell in cells)
    return 0 if whole else 99
