"""`revoked_roles_left`: roles that a revocation should have dropped and that are still there.

Figure: a count, of the last look. Inconclusive when the fault revoked no role at all. DROP ROLE
fails while the role owns objects or holds grants in another database.
Source: `pg_roles` (probe `revocation`).
"""

from __future__ import annotations

from drills.bounds.base import AtMost, Bound, Finding, counted, judged, unknown
from drills.bounds.evidence import last_figure
from drills.bounds.history import History
from drills.bounds.revoked import nothing_revoked, revocations


def check(history: History, params: AtMost) -> Finding:
    """Judge the count."""
    rows = revocations(history)
    left = last_figure(rows, "roles_left")
    if left is None:
        return unknown("all", params.at_most, nothing_revoked(rows) or "the probe could not tell")
    if left <= params.at_most and (why := nothing_revoked(rows)):
        return unknown("all", params.at_most, why)
    return judged("all", left, params.at_most, f"{counted(left, 'revoked role')} in pg_roles")


BOUND = Bound("revoked_roles_left", AtMost, check, unit="roles", needs=("revocation",))
