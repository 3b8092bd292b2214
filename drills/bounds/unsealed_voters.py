"""`unsealed_voters`: Vault nodes that are unsealed, healthy raft voters once all is over.

Figure: a count, after the load has ended. Fewer than before the drill means that the next fault
finds no quorum. Source: raft autopilot's state (probe `settled`, `healthy_voters`).
"""

from __future__ import annotations

from drills.bounds.base import Bound, BoundParams, Count, Finding, judged, seen, unknown
from drills.bounds.evidence import last_figure
from drills.bounds.history import History


class Params(BoundParams):
    """Keys of `unsealed_voters`."""

    at_least: Count


def check(history: History, params: Params) -> Finding:
    """Judge the count."""
    voters = last_figure(history.probe("settled"), "healthy_voters")
    if voters is None:
        return unknown("all", params.at_least, "nobody looked after the load, or could not tell")
    detail = f"{seen(voters)} unsealed, healthy voters after the load"
    return judged("all", voters, params.at_least, detail, sense="at_least")


BOUND = Bound("unsealed_voters", Params, check, sense="at_least", unit="nodes", needs=("settled",))
