"""Several drills on one stack, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drills.definition import Drill
from drills.errors import SetupError
from drills.recovery import Say
from drills.verdict import Verdict

#: The worst first: what one of them ended with, all of them end with.
_WORST = (130, 5, 4, 99, 3, 0)


@dataclass(frozen=True)
class Row:
    """How one drill ended. `exit` 3 and verdict `refused`: preflight let it not start."""

    drill: str
    verdict: str
    exit: int
    seconds: float
    reason: str
    run: str | None


def choose(drills: Iterable[Drill], tag: str | None) -> list[Drill]:
    """Return those that have the tag, all without one. Raises `SetupError` when none has."""
    drills = list(drills)
    chosen = [drill for drill in drills if tag is None or tag in drill.tags]
    if not chosen:
        known = ", ".join(sorted({each for drill in drills for each in drill.tags}))
        raise SetupError(f"--tag {tag}: no drill has this tag; there are: {known}")
    return chosen


def worst(exits: Iterable[int]) -> int:
    """Return the exit status of a series: 130 > 5 > 4 > 99 > 3 > 0."""
    return min(exits, key=_WORST.index, default=0)


def run_all(
    drills: Sequence[Drill], execute: Callable[[Drill], tuple[Verdict, Path]], *, say: Say
) -> list[Row]:
    """Run them in this order; a line each goes to `say`.

    A drill that is refused does not end the series, for the next one may be let in; Ctrl-C and a
    fault that could not be undone do. Raises `SetupError` when already the first is refused.
    """
    rows: list[Row] = []
    for number, drill in enumerate(drills, start=1):
        started = time.monotonic()
        try:
            verdict, path = execute(drill)
        except SetupError as error:
            if not rows:
                raise
            row = Row(drill.drill, "refused", 3, 0.0, str(error), None)
        else:
            broken = [
                f"{bound.name}: {bound.detail}"
                for bound in verdict.bounds
                if bound.verdict == verdict.verdict != "pass"
            ]
            reason = verdict.reason or "; ".join(broken)
            row = Row(drill.drill, verdict.verdict, verdict.exit, 0.0, reason, path.name)
        row = Row(**{**asdict(row), "seconds": round(time.monotonic() - started, 1)})
        rows.append(row)
        say(f"[{number}/{len(drills)}] {line(row)}")
        if row.exit in {130, 5}:
            break
    return rows


def line(row: Row) -> str:
    """Return one line on a row."""
    reason = f"  {row.reason}" if row.reason else ""
    return f"{row.verdict:<13} {row.drill:<28} {row.seconds:>5.0f} s{reason}"


def as_json(rows: Sequence[Row], planned: int) -> dict[str, Any]:
    """Return the series as `--json` prints it."""
    return {
        "exit": worst(row.exit for row in rows),
        "planned": planned,
        "seconds": round(sum(row.seconds for row in rows), 1),
        "drills": [asdict(row) for row in rows],
    }
