"""`issue_delay_seconds`: how long somebody who comes now waits for a lease.

Figure: the 99th percentile (nearest rank) of the seconds from wanting a lease to having one, login
and retries included, over the newcomers that came in the phase; one that was never served counts
as slower than any. A fleet is joined by two newcomers a second; a load of another kind by none, and
the bound is inconclusive then, as it is with fewer than `min_samples` newcomers.
Source: the load's own request log.
"""

from __future__ import annotations

from drills.bounds.base import (
    Bound,
    BoundParams,
    Figure,
    Finding,
    MinSamples,
    PhaseName,
    counted,
    judged,
    unknown,
)
from drills.bounds.evidence import percentile
from drills.bounds.history import History

NEWCOMER = "newcomer"


class Params(BoundParams):
    """Keys of `issue_delay_seconds`."""

    phase: PhaseName
    at_most: Figure
    min_samples: MinSamples = 10


def check(history: History, params: Params) -> Finding:
    """Judge the percentile."""
    window = history.window(params.phase)
    if window is None:
        return unknown(params.phase, params.at_most, f"phase {params.phase} never began")
    log = history.requests
    came = [each for each in log.within(window.start, window.end) if log.op[each] == NEWCOMER]
    took = sorted(log.seconds[each] for each in came if log.ok[each])
    if len(came) < params.min_samples:
        words = (
            f"{counted(len(came), 'newcomer')} asked for a lease, {params.min_samples} are needed"
        )
        return unknown(params.phase, params.at_most, f"{words} (only a fleet sends them)")
    detail = f"{counted(len(came), 'newcomer')}, of whom {len(came) - len(took)} went away without"
    return judged(params.phase, percentile(took, 0.99, of=len(came)), params.at_most, detail)


BOUND = Bound("issue_delay_seconds", Params, check, unit="s", needs=("requests",))
