"""`failed_ratio`: the share of requests of a phase that failed.

Figure: failed / all, without a unit, of the requests that were *started* in the phase.
With fewer than `min_samples` successes it is inconclusive, unless so many failed that even
`min_samples` successes more would not have kept the bound (so one failure more can never turn
an inconclusive verdict into a pass).
Source: the load's own request log.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from drills.bounds.base import (
    MIN_SAMPLES,
    Bound,
    BoundParams,
    Finding,
    MinSamples,
    PhaseName,
    counted,
    judged,
    unknown,
)
from drills.bounds.evidence import commonest_error, tally
from drills.bounds.history import History


class Params(BoundParams):
    """Keys of `failed_ratio`."""

    phase: PhaseName
    at_most: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    min_samples: MinSamples = MIN_SAMPLES


def check(history: History, params: Params) -> Finding:
    """Judge the ratio."""
    window = history.window(params.phase)
    if window is None:
        return unknown(params.phase, params.at_most, f"phase {params.phase} never began")
    ok, failed = tally(history, window.start, window.end)
    if ok < params.min_samples and failed <= params.at_most * (failed + params.min_samples):
        return unknown(
            params.phase,
            params.at_most,
            f"{failed} of {counted(ok + failed, 'request')} failed; {params.min_samples} "
            "successes are needed",
        )
    detail = f"{failed} of {counted(ok + failed, 'request')} failed"
    detail += commonest_error(history, window.start, window.end)
    return judged(params.phase, failed / (ok + failed), params.at_most, detail)


BOUND = Bound("failed_ratio", Params, check, needs=("requests",))
