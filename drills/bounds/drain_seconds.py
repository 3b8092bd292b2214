"""`drain_seconds`: how long after a storm broke out every client had its lease again, for good.

Figure: seconds from the end of the last fault (`since: undone`; its beginning with
`since: injected`, where the fault is the start of the storm) to the last moment at which fewer
clients held a live lease than there are; 0 when there was none, never ending when it was so at the
end. Clients are the fleet's, else those that held a lease as the first fault began.
Source: Vault's audit log. N clients that start at once need about N / 220 s on two cores.
"""

from __future__ import annotations

import math
from typing import Literal

from drills.bounds.base import Bound, BoundParams, Figure, Finding, judged, seen, unknown
from drills.bounds.evidence import injection
from drills.bounds.history import History
from drills.bounds.holders import fleet_size, holders, last_below


class Params(BoundParams):
    """Keys of `drain_seconds`."""

    at_most: Figure
    since: Literal["undone", "injected"] = "undone"


def check(history: History, params: Params) -> Finding:
    """Judge the time."""
    every, ttl = history.window("all"), history.info.platform.default_ttl_seconds
    placed = injection(history)
    if every is None or placed is None or ttl <= 0:
        return unknown("all", params.at_most, "no fault was injected, or the ttl is not known")
    fault = history.faults[-1]
    start = fault.injecting if params.since == "injected" else fault.undone
    if start is None or start >= every.end:
        return unknown("all", params.at_most, f"fault {fault.name} was not undone in time")
    staying = [one for one in holders(history).values() if not one.passing]
    wanted = fleet_size(history) or sum(
        any(begun <= placed[0] < until for begun, until in one.held(ttl)) for one in staying
    )
    if not staying or not wanted:
        return unknown("all", params.at_most, "nobody held a lease as the fault began")
    last, fewest = last_below(staying, wanted, ttl, start, every.end)
    if last is None:
        figure, detail = 0.0, f"all of {wanted} clients held a lease all the time"
    elif last >= every.end:
        figure, detail = math.inf, f"at the end not all of {wanted} clients held a lease"
    else:
        figure = last - start
        detail = f"{wanted} clients, of whom {fewest} held a lease at worst, {seen(figure)} s"
    return judged("all", figure, params.at_most, detail)


BOUND = Bound("drain_seconds", Params, check, unit="s", needs=("audit",))
