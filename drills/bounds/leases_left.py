"""`leases_left`: leases that clients did not give back when they ended.

Figure: a count: live leases of dynamic roles once the load has ended, beyond those that were there
before it began. Each is a login that stays open until its ttl is over, or, where nobody looks,
for max_ttl; a client that restarts often piles them up.
Source: Vault's leases (probes `postgres_roles` before the load, `settled` after it).
"""

from __future__ import annotations

from drills.bounds.base import AtMost, Bound, Finding, counted, judged, number, unknown
from drills.bounds.evidence import last_figure
from drills.bounds.history import History


def check(history: History, params: AtMost) -> Finding:
    """Judge the count."""
    started = [float(row["t"]) for row in history.named("load-started")]
    first = next(iter(history.probe("postgres_roles")), None)
    before = number(first["leases"]) if first is not None else None
    after = last_figure(history.probe("settled"), "leases")
    if first is None or before is None or after is None or not started:
        return unknown("all", params.at_most, "the leases before or after the load are not known")
    if first.t >= started[0]:
        return unknown("all", params.at_most, "nobody counted the leases before the load")
    left = max(0.0, after - before)
    detail = f"{counted(after, 'lease')} after the load, {before:.0f} before it"
    return judged("all", left, params.at_most, detail)


BOUND = Bound("leases_left", AtMost, check, unit="leases", needs=("postgres_roles", "settled"))
