"""`orphan_roles`: dynamic roles in Postgres that no lease stands for any more.

Figure: a count, once the load has ended and its leases are settled. Such a role is a login that
nobody will ever revoke, and never revoked roles bloat relacl until GRANT fails.
Source: `pg_roles` against Vault's leases (probe `settled`).
"""

from __future__ import annotations

from drills.bounds.base import AtMost, Bound, Finding, counted, judged, unknown
from drills.bounds.evidence import last_figure
from drills.bounds.history import History


def check(history: History, params: AtMost) -> Finding:
    """Judge the count."""
    rows = history.probe("settled")
    orphans = last_figure(rows, "orphan_roles")
    if orphans is None:
        return unknown("all", params.at_most, "nobody looked after the load, or could not tell")
    roles, leases = last_figure(rows, "roles"), last_figure(rows, "leases")
    detail = f"{counted(orphans, 'role')} without a lease"
    if roles is not None and leases is not None:
        detail += f" ({counted(roles, 'role')}, {counted(leases, 'lease')} after the load)"
    return judged("all", orphans, params.at_most, detail)


BOUND = Bound("orphan_roles", AtMost, check, unit="roles", needs=("settled",))
