"""`issues_per_client`: how many new leases a client took once the fault had begun.

Figure: leases a client: the larger of the most that one client took, and all that were taken
divided by the clients known from before (a client that logs in again has a new token, and must
not get a fresh allowance by that).
Counted are successful issues of the service's role from the moment the first fault began, by
`client`; samples marked `operator: true` (the drill's own canary) are not. A client is a Vault
token: pools that share one token count as one client. Known from before is who was issued a lease
or had one renewed within a ttl before the fault and has not logged out: of a service that ran
before the drill did, the audit log is read back by the role's max_ttl for that.
Source: Vault's audit log. Where it goes wrong: consul-template#2165 took about 600 roles a
minute; psycopg_pool with a callable takes one lease a connection, 20 for a pool of 20.
"""

from __future__ import annotations

import math
from collections import Counter

from drills.bounds.base import Bound, BoundParams, Figure, Finding, counted, judged, unknown
from drills.bounds.evidence import injection
from drills.bounds.history import History


class Params(BoundParams):
    """Keys of `issues_per_client`."""

    at_most: Figure


def check(history: History, params: Params) -> Finding:
    """Judge the issues."""
    placed = injection(history)
    if placed is None:
        return unknown("all", params.at_most, "no fault was injected")
    named = {str(each.params["role"]) for each in history.faults if each.params.get("role")}
    roles = named | {history.info.platform.role}
    clients = [
        row
        for row in history.probe("audit")
        if row["ok"] is True and row["operator"] is not True and row["client"] is not None
    ]
    served = [row for row in clients if row["op"] in {"issue", "renew"} and row["role"] in roles]
    issues = [row for row in served if row["op"] == "issue"]
    ttl = history.info.platform.default_ttl_seconds or math.inf
    gone = {row["client"] for row in clients if row["op"] == "logout" and row.t < placed[0]}
    known = {row["client"] for row in served if placed[0] - ttl <= row.t < placed[0]} - gone
    if not known:
        role = ", ".join(sorted(roles))
        words = f"no client held a lease of {role} before the fault: do its clients use this stack?"
        return unknown("all", params.at_most, words)
    after = Counter(row["client"] for row in issues if row.t >= placed[0])
    most = max(after.values(), default=0)
    total = after.total()
    detail = (
        f"{counted(total, 'new lease')} by {counted(len(after), 'client')}, {most} by the busiest; "
        f"{counted(len(known), 'client')} before the fault"
    )
    return judged("all", max(most, total / len(known)), params.at_most, detail)


BOUND = Bound("issues_per_client", Params, check, unit="leases", needs=("audit",))
