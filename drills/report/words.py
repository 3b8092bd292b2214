"""The same words and figures in every report."""

from __future__ import annotations

import math

from drills.bounds import BOUNDS
from drills.verdict import BoundResult, Verdict

SENSE = {"at_most": "≤", "at_least": "≥"}


def figure(value: float | None) -> str:
    """A figure for people: thousands apart, no more digits than it deserves, — for unknown."""
    if value is None or math.isnan(value):
        return "—"
    if math.isinf(value):
        return "never"
    if value == int(value):
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.1f}"
    # Three significant digits, without an exponent: 0.0000123 is as readable as it gets.
    places = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.{places}f}".rstrip("0").rstrip(".")


def limit(result: BoundResult) -> str:
    """`≤ 5 s`, as the bound's own sense and unit say."""
    bound = BOUNDS.get(result.name)
    sense = SENSE[bound.sense] if bound else ""
    return f"{sense} {with_unit(result, result.limit)}".strip()


def observed(result: BoundResult) -> str:
    """`0.93 s`; `never` for a figure without an end; — for a missing one."""
    return with_unit(result, result.observed)


def with_unit(result: BoundResult, value: float | None) -> str:
    """A figure with the bound's unit, if it has one and the figure is known."""
    bound = BOUNDS.get(result.name)
    text = figure(value)
    if bound is None or not bound.unit or text in ("—", "never"):
        return text
    one = text == "1" and bound.unit != "s"
    return f"{text} {bound.unit.removesuffix('s') if one else bound.unit}"


def place(result: BoundResult) -> str:
    """The bound with its phase, where it has one: `failed_ratio (recovery)`."""
    return result.name if result.phase == "all" else f"{result.name} ({result.phase})"


def summary(verdict: Verdict) -> str:
    """One line on why the verdict is what it is."""
    if verdict.reason:
        return verdict.reason
    broken = [each.name for each in verdict.bounds if each.verdict == "fail"]
    open_ = [each.name for each in verdict.bounds if each.verdict == "inconclusive"]
    count = len(verdict.bounds)
    if broken:
        return f"{len(broken)} of {count} bounds broken: {', '.join(dict.fromkeys(broken))}"
    if open_:
        return f"{len(open_)} of {count} bounds open: {', '.join(dict.fromkeys(open_))}"
    return f"all {count} bounds kept" if count != 1 else "its one bound kept"
