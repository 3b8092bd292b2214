"""`renewal_peak`: how much worse the busiest second is than an even spread of renewals.

Figure: peak / max(even spread, 1/s), without a unit, where
  peak         = most renewals in any window of one second from the baseline to the end,
  even spread  = leases / ttl renewals a second (leases: the clients of a fleet, else the most
                 live leases in that time; ttl: the role's default ttl in seconds).
The floor of one a second is there because renewals are whole: 4 leases of 60 s spread evenly make
0.07/s, and the first renewal would already be a "peak" of 15. With the floor, `at_most: 2` lets
two of few clients renew in the same second, and not four.
For scale: N clients that start together under Vault's LifetimeWatcher peak at N / (0.033 ttl),
30 times the even spread. A run that saw no renewal is inconclusive: it was shorter
than a lease. Source: Vault's audit log (failed renewals count, they are load as well), and the
probe `postgres_roles` for the leases.
"""

from __future__ import annotations

from typing import Literal

from drills.bounds.base import Bound, BoundParams, Figure, Finding, counted, judged, seen, unknown
from drills.bounds.evidence import audit_times, live_leases, peak_per_second
from drills.bounds.history import History
from drills.bounds.holders import fleet_size


class Params(BoundParams):
    """Keys of `renewal_peak`."""

    at_most: Figure
    of: Literal["even_spread"] = "even_spread"


def check(history: History, params: Params) -> Finding:
    """Judge the peak."""
    baseline, every = history.window("baseline"), history.window("all")
    if baseline is None or every is None:
        return unknown("all", params.at_most, "phase baseline never began")
    times = audit_times(history, "renew", baseline.start, every.end)
    if not times:
        return unknown("all", params.at_most, "no renewal was seen: the run is shorter than that")
    inside = [n for t, n in live_leases(history) if baseline.start <= t < every.end]
    # What clients that crashed left behind is not renewed, and must not forgive a higher peak.
    size = fleet_size(history)
    inside = [size] if size else inside
    ttl = history.info.platform.default_ttl_seconds
    if not inside or ttl <= 0:
        return unknown("all", params.at_most, "the number of leases or their ttl is not known")
    peak, even = peak_per_second(times), max(inside) / ttl
    detail = (
        f"{counted(peak, 'renewal')} in the busiest second; "
        f"{counted(max(inside), 'lease')} of {seen(ttl)} s spread evenly make {even:.3g}/s"
    )
    return judged("all", peak / max(even, 1.0), params.at_most, detail)


BOUND = Bound("renewal_peak", Params, check, needs=("audit", "postgres_roles"))
