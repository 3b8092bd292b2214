"""`untraced_leases`: leases of which nobody can say who asked for them, and by what right.

Figure: a count of dynamic roles that Postgres had during the run and whose issue is not in the
audit log with requester (display name or entity), policy and address, or that have no end (TTL).
A role is matched with its issue by the HMAC that Vault itself makes of its name (sys/audit-hash
with the salt of the log's device): an exact match, never one by time or by the shape of a name.
The TTL is not in the audit log; it is VALID UNTIL in pg_roles less the time of the issue.
Inconclusive when no lease was seen, or when Vault did not answer for its HMACs.
Source: `pg_roles` and Vault's audit log (probe `leases`).
"""

from __future__ import annotations

from collections import Counter

from drills.bounds.base import AtMost, Bound, Finding, counted, judged, unknown
from drills.bounds.history import History


def check(history: History, params: AtMost) -> Finding:
    """Judge the count."""
    rows = history.probe("leases")
    if any(row["missing"] is None for row in rows):
        return unknown("all", params.at_most, "the probe could not tell what is missing")
    untraced = [row for row in rows if row["missing"]]
    detail = f"{counted(len(rows), 'lease')} in Postgres, {len(untraced)} not traced"
    gaps = Counter(gap for row in untraced for gap in row["missing"])
    if gaps:
        words = ", ".join(f"{gap} ({count})" for gap, count in sorted(gaps.items()))
        detail += f": missing {words}, such as of {untraced[0]['username']}"
    else:
        asked = sorted({str(row["requester"] or row["entity"]) for row in rows})
        detail += f"; asked for by {', '.join(asked[:4])}" + (" …" if len(asked) > 4 else "")
    return judged("all", len(untraced), params.at_most, detail)


BOUND = Bound("untraced_leases", AtMost, check, unit="leases", needs=("leases",))
