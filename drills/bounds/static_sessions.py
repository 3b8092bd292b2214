"""`static_sessions`: sessions of a login that is not leased.

Figure: a count: the most sessions at any look that belong to neither a dynamic role, nor an
administrator, nor the drills. A client that falls back on a fixed account when its lease is refused
looks well in every other bound: its requests succeed, by a login that no revocation ends.
Only for drills whose database serves no other application meanwhile.
Source: `pg_stat_activity` (probe `static_sessions`).
"""

from __future__ import annotations

from drills.bounds.base import AtMost, Bound, Finding, counted, judged, number, unknown
from drills.bounds.history import History


def check(history: History, params: AtMost) -> Finding:
    """Judge the fullest look."""
    seen = [number(row["sessions"]) for row in history.probe("static_sessions")]
    known = [count for count in seen if count is not None]
    if not known:
        return unknown("all", params.at_most, "nobody looked at who is logged in")
    detail = f"{counted(max(known), 'session')} at most, in {counted(len(known), 'look')}"
    return judged("all", max(known), params.at_most, detail)


BOUND = Bound("static_sessions", AtMost, check, unit="sessions", needs=("static_sessions",))
