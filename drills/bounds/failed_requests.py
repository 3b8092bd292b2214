"""`failed_requests`: how many requests of a phase failed.

Figure: a count, of the requests that were *started* in the phase. With fewer than `min_samples`
successes a count within its limit is inconclusive; one beyond it is a failure anyhow.
Source: the load's own request log.
"""

from __future__ import annotations

from drills.bounds.base import (
    MIN_SAMPLES,
    Bound,
    BoundParams,
    Count,
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
    """Keys of `failed_requests`."""

    phase: PhaseName
    at_most: Count
    min_samples: MinSamples = MIN_SAMPLES


def check(history: History, params: Params) -> Finding:
    """Judge the count."""
    window = history.window(params.phase)
    if window is None:
        return unknown(params.phase, params.at_most, f"phase {params.phase} never began")
    ok, failed = tally(history, window.start, window.end)
    if failed <= params.at_most and ok < params.min_samples:
        return unknown(
            params.phase,
            params.at_most,
            f"{failed} of {counted(ok + failed, 'request')} failed; {params.min_samples} "
            "successes are needed",
        )
    detail = f"{failed} of {counted(ok + failed, 'request')} failed"
    detail += commonest_error(history, window.start, window.end)
    return judged(params.phase, failed, params.at_most, detail)


BOUND = Bound("failed_requests", Params, check, unit="requests", needs=("requests",))
