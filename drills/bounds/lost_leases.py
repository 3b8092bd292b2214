"""`lost_leases`: how often a client's lease ended before the client had another.

Figure: a count over the whole run, of clients that hold one lease each. A lease is lost when its
client was answered nothing for the role's ttl (less 5 %: a client counts from its request, the log
from the answer) and then takes a new one, or for longer than the ttl to the end of the run.
Clients that logged out, or were ended by the drill, lost none. Inconclusive when no client took a
lease. Source: Vault's audit log, by the client's token.
Where it goes wrong: a LifetimeWatcher waits 10 s after a failed renewal, which is more than what
is left of a short lease; hashicorp/vault#26382.
"""

from __future__ import annotations

from drills.bounds.base import AtMost, Bound, Finding, counted, judged, unknown
from drills.bounds.history import History
from drills.bounds.holders import holders


def check(history: History, params: AtMost) -> Finding:
    """Judge the count."""
    every, ttl = history.window("all"), history.info.platform.default_ttl_seconds
    found = holders(history)
    if every is None or ttl <= 0 or not found:
        return unknown("all", params.at_most, "no client took a lease, or its ttl is not known")
    losses = [one.lost(ttl, every.start, every.end) for one in found.values()]
    lost, losers = sum(losses), sum(each > 0 for each in losses)
    stayed = sum(
        not one.passing and one.served[-1][0] + ttl >= every.start for one in found.values()
    )
    detail = (
        f"{counted(lost, 'lease')} of {ttl:g} s ended unrenewed, of {counted(losers, 'client')} of "
        f"{stayed}"
    )
    return judged("all", lost, params.at_most, detail)


BOUND = Bound("lost_leases", AtMost, check, unit="leases", needs=("audit",))
