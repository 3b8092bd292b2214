"""What a bound is, and the one place where its result is turned into a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from drills.bounds.history import History

Verdict = Literal["pass", "fail", "inconclusive"]
Sense = Literal["at_most", "at_least"]
PHASES = ("warmup", "baseline", "fault", "recovery")
PhaseName = Literal["warmup", "baseline", "fault", "recovery", "all"]

Count = Annotated[int, Field(ge=0)]
Figure = Annotated[float, Field(ge=0, allow_inf_nan=False)]
MinSamples = Annotated[int, Field(ge=1)]

MIN_SAMPLES = 50
"""Below this many requests a ratio or a percentile says nothing: one more could change it."""


class BoundParams(BaseModel):
    """A bound's keys in a drill file. Strict: a mistyped limit must never pass."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class AtMost(BoundParams):
    """The keys of a bound that has a limit and nothing else."""

    at_most: Count


P = TypeVar("P", bound=BoundParams)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a checker found. `observed` is None when the figure is missing, and infinite when it
    never ended; `detail` is the evidence in one line."""

    phase: str
    observed: float | None
    limit: float | None
    verdict: Verdict
    detail: str


@dataclass(frozen=True, slots=True)
class Bound(Generic[P]):
    """A named checker: a pure function of the history.

    `needs` names the probes (`requests` for the load's own log) without which it can't pass.
    """

    name: str
    params: type[P]
    check: Callable[[History, P], Finding]
    sense: Sense = "at_most"
    unit: str = ""
    needs: tuple[str, ...] = ()


def judged(
    phase: str,
    observed: float,
    limit: float,
    detail: str,
    *,
    sense: Sense = "at_most",
) -> Finding:
    """Compare `observed` with `limit`; equality passes. NaN is inconclusive."""
    if math.isnan(observed) or math.isnan(limit):
        return unknown(phase, limit, f"no figure: {detail}")
    good = observed <= limit if sense == "at_most" else observed >= limit
    return Finding(phase, observed, limit, "pass" if good else "fail", detail)


def unknown(phase: str, limit: float | None, detail: str) -> Finding:
    """The figure is missing: neither kept nor broken."""
    return Finding(phase, None, limit, "inconclusive", detail)


def evaluate(bound: Bound[Any], params: BoundParams, history: History) -> Finding:
    """Run one checker and hold a pass back for as long as its evidence has a hole.

    A violation that was seen stands whatever else went wrong. A pass needs its probes alive, its
    window complete and load until the end. A checker that raises is inconclusive.
    """
    try:
        finding = bound.check(history, params)
    except Exception as error:  # noqa: BLE001  # a crashing checker is unknown, never a verdict
        limit = getattr(params, bound.sense, None)
        why = " ".join(str(error).split())[:200]
        return unknown("all", limit, f"the checker raised {type(error).__name__}: {why}")
    if finding.verdict != "pass":
        return finding
    hole = _hole(bound, finding.phase, history)
    if hole is None:
        return finding
    return replace(finding, verdict="inconclusive", detail=f"{hole}; so far: {finding.detail}")


def _hole(bound: Bound[Any], phase: str, history: History) -> str | None:
    """Why the evidence behind a pass is not whole, or None."""
    for row in history.named("probe-failed"):
        if row.get("probe") in bound.needs:
            return f"probe {row['probe']} failed: {row.get('error')}"
    for need in bound.needs:
        if need != "requests" and not history.probe(need):
            return f"probe {need} left no sample"
    window = history.window(phase)
    if window is None or not window.complete:
        return f"phase {phase} did not come to its end"
    return _load_hole(history)


def _load_hole(history: History) -> str | None:
    ended = history.named("load-ended")
    recovery = history.window("recovery")
    if not ended:
        return "nothing tells how the load ended"
    if recovery is None or not recovery.complete:
        return "phase recovery did not come to its end"
    for row in ended:
        if type(row.get("exit")) is not int or row["exit"] != 0:
            return f"the load ended with exit {row.get('exit')}"
        if float(row["t"]) < recovery.end:
            return f"the load ended {recovery.end - float(row['t']):.1f} s before the recovery did"
    return None


def number(value: object) -> float | None:
    """`value` if it is a figure, else None: a probe writes null when it does not know."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def seen(figure: float) -> str:
    """A figure for people: no more digits than it deserves."""
    if math.isinf(figure):
        return "never"
    return f"{figure:.0f}" if figure == int(figure) else f"{figure:.3g}"


def counted(count: float, what: str) -> str:
    """`1 request`, `2 requests`."""
    return f"{seen(count)} {what}{'' if count == 1 else 's'}"
