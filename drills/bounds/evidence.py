"""Figures that several bounds and the report take from a history. Pure functions."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence

from drills.bounds.base import number
from drills.bounds.history import History, Sample


def tally(history: History, start: float, end: float) -> tuple[int, int]:
    """How many requests started in [start, end) succeeded and failed."""
    inside = history.requests.within(start, end)
    ok = sum(history.requests.ok[inside.start : inside.stop])
    return ok, len(inside) - ok


def commonest_error(history: History, start: float, end: float) -> str:
    """`, most often ERROR (N)`, or nothing when no request failed."""
    log = history.requests
    inside = log.within(start, end)
    errors = Counter(log.error[index] or "unnamed" for index in inside if not log.ok[index])
    if not errors:
        return ""
    name, count = min(errors.items(), key=lambda each: (-each[1], each[0]))
    return f", most often {name} ({count})"


def percentile(ordered: Sequence[float], share: float, *, of: int | None = None) -> float:
    """The nearest-rank percentile of `ordered`; of `of` values when the missing ones are taken
    as infinite. NaN for no values."""
    count = len(ordered) if of is None else of
    if count == 0:
        return math.nan
    rank = max(1, math.ceil(share * count))
    return ordered[rank - 1] if rank <= len(ordered) else math.inf


def durations(history: History, start: float, end: float) -> list[float]:
    """Sorted seconds of the successful requests that were started in [start, end)."""
    log = history.requests
    inside = log.within(start, end)
    return sorted(log.seconds[index] for index in inside if log.ok[index])


def peak_per_second(times: Sequence[float]) -> int:
    """Most of `times` in any window of one second, wherever it begins. `times` is sorted."""
    return max(
        (index + 1 - bisect_left(times, t - 1 + 1e-9) for index, t in enumerate(times)), default=0
    )


def audit_times(history: History, op: str, start: float, end: float) -> list[float]:
    """Sorted times of the audited requests of one kind in [start, end), failed ones too, but not
    those of the drill's own operator."""
    return [
        row.t
        for row in history.probe("audit")
        if row["op"] == op and row["operator"] is not True and start <= row.t < end
    ]


def live_leases(history: History) -> list[tuple[float, float]]:
    """(t, leases): live leases of the dynamic roles, where they are known.

    Telemetry is no substitute: it counts the leases of tokens too, and a larger even spread
    would forgive a higher peak."""
    known = [(row.t, number(row["leases"])) for row in history.probe("postgres_roles")]
    return [(t, leases) for t, leases in known if leases is not None]


def injection(history: History) -> tuple[float, float] | None:
    """When the first fault began and when the last one was in place; None without a fault."""
    if not history.faults:
        return None
    last = history.faults[-1]
    done = last.injecting if last.injected is None else last.injected
    return history.faults[0].injecting, done


def last_figure(rows: Sequence[Sample], key: str) -> float | None:
    """`key` of the last sample; None without one, or when the probe did not know."""
    return number(rows[-1][key]) if rows else None


def recovery(history: History) -> tuple[float, int, int] | None:
    """(seconds from the last fault's start to the end of the last failure after it, how many
    failed after it, successes that were started after the last of them). None without a fault or
    a recovery.

    A failure counts from the moment its caller got it, so a request that hung is not forgiven
    for having begun early.
    """
    placed = injection(history)
    window = history.window("recovery")
    if placed is None or window is None:
        return None
    log = history.requests
    # From its start: revoking many leases takes a while, and the first of them fails at once.
    fault = history.faults[-1].injecting
    before_end = range(log.within(-math.inf, window.end).stop)
    ends = [
        log.t[index] + log.seconds[index]
        for index in before_end
        if not log.ok[index] and log.t[index] + log.seconds[index] >= fault
    ]
    last = max(ends, default=fault)
    later = tally(history, last, window.end)[0]
    return last - fault, len(ends), later


def stretches_without(
    sightings: Iterable[tuple[float, bool]], start: float, end: float
) -> list[tuple[float, float, float]]:
    """(length, watched, begin) of each stretch of [start, end) between two sightings.

    `watched` is how much of it lies between two looks that saw nothing: the part that is proven.
    """
    stretches: list[tuple[float, float, float]] = []
    begin = start
    empty: list[float] = []
    for t, there in sorted(sightings):
        if not start <= t < end:
            continue
        if there:
            stretches.append((t - begin, empty[-1] - empty[0] if empty else 0.0, begin))
            begin, empty = t, []
        else:
            empty.append(t)
    stretches.append((end - begin, empty[-1] - empty[0] if empty else 0.0, begin))
    return stretches
