"""`excess_capabilities`: paths in Vault that the service may use and has no business with.

Figure: a count: the most such paths at any look during the run (other services' credentials, the
roles and the connection of the database engine, policies, auth methods, mounts, audit devices,
seal, snapshots, tokens, other people's leases: drills/probes/capabilities.py has the list). A
credential that leaks is worth what its login may do.
Source: Vault's own answer to the service's login (sys/capabilities-self; probe `capabilities`).
"""

from __future__ import annotations

from drills.bounds.base import AtMost, Bound, Finding, counted, judged, unknown
from drills.bounds.history import History


def check(history: History, params: AtMost) -> Finding:
    """Judge the worst look."""
    service = history.info.platform.service
    rows = [row for row in history.probe("capabilities") if row["service"] == service]
    if not rows or not all(isinstance(row["allowed"], list) for row in rows):
        return unknown("all", params.at_most, "nobody asked what the service may do")
    most = max((row["allowed"] for row in rows), key=len)
    detail = f"{counted(len(most), 'path')} of {rows[-1]['asked']} allowed"
    if most:
        detail += f": {', '.join(map(str, most[:3]))}" + (" …" if len(most) > 3 else "")
    return judged("all", len(most), params.at_most, detail)


BOUND = Bound("excess_capabilities", AtMost, check, unit="paths", needs=("capabilities",))
