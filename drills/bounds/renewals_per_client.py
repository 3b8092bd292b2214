"""`renewals_per_client`: how often one client asks for renewals.

Figure: renewals a client: the most that one client sent within any `SECONDS` (10 s), or all of
that time divided by the clients that took a lease, whichever is more (a client that logs in again
for each renewal has a new token each time). Failed renewals count: they are load as well.
For scale: Vault's LifetimeWatcher renews 1.5 times a ttl, consul-template 3 to 6 times. A client
that renews in a hot loop (hashicorp/vault#26382, backoff ignored) makes hundreds.
Source: Vault's audit log.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from drills.bounds.base import Bound, BoundParams, Figure, Finding, counted, judged, unknown
from drills.bounds.history import History

SECONDS = 10.0


class Params(BoundParams):
    """Keys of `renewals_per_client`."""

    at_most: Figure


def check(history: History, params: Params) -> Finding:
    """Judge the busiest client."""
    audited = [row for row in history.probe("audit") if row["operator"] is not True]
    clients = {row["client"] for row in audited if row["op"] == "issue" and row["ok"] is True}
    if not clients:
        return unknown("all", params.at_most, "no client took a lease")
    times: defaultdict[object, list[float]] = defaultdict(list)
    for row in audited:
        if row["op"] == "renew":
            times[row["client"]].append(row.t)
    busiest = max((most_within(each, SECONDS) for each in times.values()), default=0)
    together = most_within(sorted(t for each in times.values() for t in each), SECONDS)
    detail = (
        f"{counted(busiest, 'renewal')} by the busiest client and {together} by all "
        f"in {SECONDS:g} s; "
        f"{counted(len(clients), 'client')}"
    )
    return judged("all", max(busiest, together / len(clients)), params.at_most, detail)


def most_within(times: Sequence[float], seconds: float) -> int:
    """Most of the sorted `times` in any window of `seconds`."""
    most = first = 0
    for index, t in enumerate(times):
        while times[first] <= t - seconds:
            first += 1
        most = max(most, index - first + 1)
    return most


BOUND = Bound("renewals_per_client", Params, check, unit="renewals", needs=("audit",))
