"""`p99_seconds`: the 99th percentile of the time a request took.

Figure: seconds, nearest rank, over the requests that were *started* in the phase. A failed
request never got its answer and counts as slower than any other, so that failing fast can't look
like speed. The limit is `at_most` seconds or `times_baseline`: that many times the p99 of the
successful requests of the baseline phase.
Source: the load's own request log; locust's percentiles have two significant figures.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from drills.bounds.base import (
    MIN_SAMPLES,
    Bound,
    BoundParams,
    Figure,
    Finding,
    MinSamples,
    PhaseName,
    counted,
    judged,
    seen,
    unknown,
)
from drills.bounds.evidence import durations, percentile, tally
from drills.bounds.history import History


class Params(BoundParams):
    """Keys of `p99_seconds`; exactly one limit."""

    phase: PhaseName
    at_most: Figure | None = None
    times_baseline: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    min_samples: MinSamples = MIN_SAMPLES

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.at_most is None) == (self.times_baseline is None):
            raise ValueError("needs either at_most (seconds) or times_baseline, and not both")
        return self


def check(history: History, params: Params) -> Finding:
    """Judge the percentile."""
    window = history.window(params.phase)
    if window is None:
        return unknown(params.phase, params.at_most, f"phase {params.phase} never began")
    limit, against = params.at_most, ""
    if limit is None and params.times_baseline is not None:
        baseline = history.window("baseline")
        steady = durations(history, baseline.start, baseline.end) if baseline else []
        if len(steady) < params.min_samples:
            return unknown(params.phase, None, f"baseline has {len(steady)} successes only")
        normal = percentile(steady, 0.99)
        limit = params.times_baseline * normal
        against = f"; baseline p99 {seen(normal)} s"
    assert limit is not None  # noqa: S101  # Params lets exactly one limit through
    took = durations(history, window.start, window.end)
    ok, failed = tally(history, window.start, window.end)
    if ok < params.min_samples and failed <= 0.01 * (failed + params.min_samples):
        return unknown(params.phase, limit, f"{ok} successes; {params.min_samples} are needed")
    detail = f"p99 of {counted(ok + failed, 'request')}, {failed} of them failed{against}"
    return judged(params.phase, percentile(took, 0.99, of=ok + failed), limit, detail)


BOUND = Bound("p99_seconds", Params, check, unit="s", needs=("requests",))
