"""`sessions_on_revoked_roles`: database sessions that outlived the credential they logged in with.

Figure: a count: sessions of revoked roles at the last look after the revocation, plus sessions
whose role is gone in the last sample of `postgres_sessions`. PostgreSQL checks a role at login
only: a session survives VALID UNTIL and even DROP ROLE unless the revocation ends it.
Inconclusive when the fault revoked no role at all.
Source: `pg_stat_activity` (probes `revocation` and `postgres_sessions`).
"""

from __future__ import annotations

from drills.bounds.base import AtMost, Bound, Finding, judged, seen, unknown
from drills.bounds.evidence import last_figure
from drills.bounds.history import History
from drills.bounds.revoked import nothing_revoked, revocations


def check(history: History, params: AtMost) -> Finding:
    """Judge the count."""
    rows = revocations(history)
    left = last_figure(rows, "sessions_left")
    orphans = last_figure(history.probe("postgres_sessions"), "orphan_sessions")
    total = (left or 0) + (orphans or 0)
    if total <= params.at_most:
        if why := nothing_revoked(rows):
            return unknown("all", params.at_most, why)
        if left is None or orphans is None:
            return unknown("all", params.at_most, "a probe could not tell")
    detail = (
        f"{'?' if left is None else seen(left)} sessions of revoked roles, "
        f"{'?' if orphans is None else seen(orphans)} of roles that are gone"
    )
    return judged("all", total, params.at_most, detail)


BOUND = Bound(
    "sessions_on_revoked_roles",
    AtMost,
    check,
    unit="sessions",
    needs=("revocation", "postgres_sessions"),
)
