"""`leaderless_seconds`: the longest time in which no Vault node was active.

Figure: seconds between two sightings of an active node, warm-up to recovery, so with health
looked at four times a second it reads a quarter of a second too much, never too little. Beyond
its limit it is a failure if looks that saw no active node span more than the limit, and
inconclusive if the probe was blind for that long. For scale: 2.85 s after a kill -9 with raft's
multiplier 1. Source: sys/health of every node (probe `node_health`).
"""

from __future__ import annotations

from drills.bounds.base import Bound, BoundParams, Figure, Finding, judged, seen, unknown
from drills.bounds.evidence import stretches_without
from drills.bounds.history import History


class Params(BoundParams):
    """Keys of `leaderless_seconds`; the limit is in seconds."""

    at_most: Figure


def check(history: History, params: Params) -> Finding:
    """Judge the longest stretch."""
    window = history.window("all")
    looks = [(row.t, row["active"] is True) for row in history.probe("node_health")]
    if window is None or not looks:
        return unknown("all", params.at_most, "nobody looked at the nodes' health")
    stretches = stretches_without(looks, window.start, window.end)
    proven = max(stretches, key=lambda each: (each[1], each[0]))
    longest = max(stretches)
    length, watched, begin = proven if proven[1] > params.at_most else longest
    detail = f"no active node was seen for {seen(length)} s from +{begin - history.start:.1f} s on"
    if length > params.at_most and watched <= params.at_most:
        return unknown("all", params.at_most, f"{detail}, and nobody looked in between")
    return judged("all", length, params.at_most, detail)


BOUND = Bound("leaderless_seconds", Params, check, unit="s", needs=("node_health",))
