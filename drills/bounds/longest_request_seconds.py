"""`longest_request_seconds`: the longest that any request took, successful or not.

Figure: seconds, of the requests that were *started* in the phase. For a phase in which nothing
can succeed, this is what tells failing fast from hanging: `p99_seconds` counts every failure as
slower than any answer.
Source: the load's own request log. A request that hangs beyond the end of the run has no line
there; the bounds on failed requests and on recovery see the load stand still.
"""

from __future__ import annotations

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
from drills.bounds.history import History


class Params(BoundParams):
    """Keys of `longest_request_seconds`."""

    phase: PhaseName
    at_most: Figure
    min_samples: MinSamples = MIN_SAMPLES


def check(history: History, params: Params) -> Finding:
    """Judge the longest request."""
    window = history.window(params.phase)
    if window is None:
        return unknown(params.phase, params.at_most, f"phase {params.phase} never began")
    log = history.requests
    inside = log.within(window.start, window.end)
    longest = max(inside, key=lambda index: log.seconds[index], default=None)
    seconds = 0.0 if longest is None else log.seconds[longest]
    if longest is None or (seconds <= params.at_most and len(inside) < params.min_samples):
        text = f"{counted(len(inside), 'request')}; {params.min_samples} are needed"
        return unknown(params.phase, params.at_most, text)
    outcome = "succeeded" if log.ok[longest] else f"failed with {log.error[longest] or 'no name'}"
    detail = (
        f"the longest of {counted(len(inside), 'request')} began at "
        f"+{seen(log.t[longest] - window.start)} s of the phase and {outcome}"
    )
    return judged(params.phase, seconds, params.at_most, detail)


BOUND = Bound("longest_request_seconds", Params, check, unit="s", needs=("requests",))
