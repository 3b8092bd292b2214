"""`old_login_accepted`: how often Postgres still let a revoked credential in.

Figure: a count of looks after the revocation at which the old password was accepted. Within its
limit it is inconclusive when the last look could not reach Postgres, or when the fault revoked
no role at all. Source: a real login with the old password (probe `revocation`).
"""

from __future__ import annotations

from drills.bounds.base import AtMost, Bound, Finding, judged, unknown
from drills.bounds.history import History
from drills.bounds.revoked import nothing_revoked, revocations


def check(history: History, params: AtMost) -> Finding:
    """Judge the count."""
    rows = revocations(history)
    answers = [row["old_login"] for row in rows]
    accepted = answers.count("accepted")
    if accepted <= params.at_most:
        if why := nothing_revoked(rows):
            return unknown("all", params.at_most, why)
        if answers[-1] not in ("refused", "accepted"):
            return unknown("all", params.at_most, f"the last try was {answers[-1]}")
    detail = f"{accepted} of {len(rows)} logins with a revoked credential were accepted"
    return judged("all", accepted, params.at_most, detail)


BOUND = Bound("old_login_accepted", AtMost, check, unit="logins", needs=("revocation",))
