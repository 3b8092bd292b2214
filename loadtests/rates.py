"""How many events fall into the busiest second: pure functions of their times."""

from __future__ import annotations

from collections.abc import Iterable


def peak(times: Iterable[float], *, window: float = 1.0) -> int:
    """Return the most events in any window of `window` seconds, wherever it begins; 0 of none."""
    ordered = sorted(times)
    most = first = 0
    for last, at in enumerate(ordered):
        while at - ordered[first] >= window:
            first += 1
        most = max(most, last - first + 1)
    return most


def per_second(times: Iterable[float], seconds: float) -> list[int]:
    """Return how many events fall into each whole second from 0 on, the last one cut short."""
    counted = [0] * max(1, int(-(-seconds // 1)))
    for at in times:
        if 0 <= at < seconds:
            counted[int(at)] += 1
    return counted
