"""`issues_peak`: how many leases Vault was asked for in the busiest second.

Figure: requests a second: most issues in any window of one second from the baseline to the end,
those that failed included, for they are load as well; not those of the drill's own operator. N
clients that start at once ask N times, as fast as Vault answers (220 a second on two cores); what
asks more often than that asks in a loop. Source: Vault's audit log.
Where it goes wrong: consul-template#2165 took about 600 roles a minute; Vault Secrets Operator
issued for its whole fleet anew after a restart (VSO#285).
"""

from __future__ import annotations

from drills.bounds.base import Bound, BoundParams, Figure, Finding, counted, judged, unknown
from drills.bounds.evidence import audit_times, peak_per_second
from drills.bounds.history import History


class Params(BoundParams):
    """Keys of `issues_peak`."""

    at_most: Figure


def check(history: History, params: Params) -> Finding:
    """Judge the peak."""
    baseline, every = history.window("baseline"), history.window("all")
    if baseline is None or every is None:
        return unknown("all", params.at_most, "phase baseline never began")
    times = audit_times(history, "issue", baseline.start, every.end)
    peak = peak_per_second(times)
    detail = f"{counted(peak, 'issue')} in the busiest second, {len(times)} in all"
    return judged("all", peak, params.at_most, detail)


BOUND = Bound("issues_peak", Params, check, unit="/s", needs=("audit",))
