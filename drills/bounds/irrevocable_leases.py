"""`irrevocable_leases`: leases that Vault has given up to revoke.

Figure: a count, the largest that any node last told. Vault tries six times, 310 to 930 s after
the first failure, and then leaves the role in the database for good.
Source: Vault's telemetry `vault.expire.num_irrevocable_leases`; inconclusive when no node says.
"""

from __future__ import annotations

from drills.bounds.base import AtMost, Bound, Finding, counted, judged, number, unknown
from drills.bounds.history import History


def check(history: History, params: AtMost) -> Finding:
    """Judge the count."""
    last: dict[str, float] = {}
    for row in history.probe("telemetry"):
        figure = number(row["irrevocable_leases"])
        if figure is not None:
            last[str(row["node"])] = figure
    if not last:
        return unknown("all", params.at_most, "no node told how many leases are irrevocable")
    node, most = max(last.items(), key=lambda each: (each[1], each[0]))
    return judged("all", most, params.at_most, f"{counted(most, 'irrevocable lease')} on {node}")


BOUND = Bound("irrevocable_leases", AtMost, check, unit="leases", needs=("telemetry",))
