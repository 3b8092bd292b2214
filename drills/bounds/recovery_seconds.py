"""`recovery_seconds`: how long after the fault the last request failed.

Figure: seconds from the moment the last fault began (`fault-injecting`) to the end of the last
failed request that is followed by successes only; 0 when none failed after it. Requests that are
still failing when the recovery phase ends never recovered: infinite, a failure.
Fewer than `min_samples` successes between the fault and the end of the recovery phase, or fewer
than 10 after the last failure, show no recovery: inconclusive where the limit was kept so far.
Source: the load's own request log against the runner's events.
"""

from __future__ import annotations

import math

from drills.bounds.base import (
    MIN_SAMPLES,
    Bound,
    BoundParams,
    Figure,
    Finding,
    MinSamples,
    counted,
    judged,
    seen,
    unknown,
)
from drills.bounds.evidence import commonest_error, injection, recovery, tally
from drills.bounds.history import History

STEADY = 10
"""So many successes after the last failure make a recovery; fewer may be luck between two."""


class Params(BoundParams):
    """Keys of `recovery_seconds`; the limit is in seconds."""

    at_most: Figure
    min_samples: MinSamples = MIN_SAMPLES


def check(history: History, params: Params) -> Finding:
    """Judge the time."""
    phase = "recovery"
    placed, found, window = injection(history), recovery(history), history.window(phase)
    if placed is None:
        return unknown(phase, params.at_most, "no fault was injected")
    if found is None or window is None:
        return unknown(phase, params.at_most, "phase recovery never began")
    seconds, failures, later = found
    ok, _ = tally(history, placed[1], window.end)
    errors = commonest_error(history, placed[0], window.end)
    detail = f"{counted(failures, 'request')} failed from the fault on{errors}"
    if failures and later == 0 and window.complete:
        seconds = math.inf
        detail += "; none succeeded after the last of them"
    elif failures:
        detail += f"; the last at +{seen(seconds)} s, then {later} more succeeded"
    if seconds > params.at_most:
        return judged(phase, seconds, params.at_most, detail)
    if failures and later < STEADY:
        return unknown(phase, params.at_most, f"{detail}: {STEADY} are needed")
    if ok < params.min_samples:
        return unknown(
            phase, params.at_most, f"{ok} successes after the fault; {params.min_samples} needed"
        )
    return judged(phase, seconds, params.at_most, detail)


BOUND = Bound("recovery_seconds", Params, check, unit="s", needs=("requests",))
