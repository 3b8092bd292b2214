"""What the charts show: rates, percentiles and leaders over the run's own time, from a history."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drills.bounds.base import number
from drills.bounds.evidence import percentile
from drills.bounds.history import History, Sample

MOST_BINS = 1200
"""More points than that are no longer seen, and a soak of a week must stay a small file."""


@dataclass(frozen=True, slots=True)
class Bins:
    """The run cut into equal pieces; `width` is one second for runs up to 20 minutes."""

    start: float
    end: float
    width: float

    @classmethod
    def of(cls, history: History) -> Bins:
        """Bins from the run's start to its end."""
        length = max(history.end - history.start, 1.0)
        return cls(history.start, history.start + length, math.ceil(length / MOST_BINS))

    @property
    def count(self) -> int:
        """How many there are; the last may be cut short."""
        return max(1, math.ceil((self.end - self.start) / self.width))

    @property
    def edges(self) -> list[float]:
        """Seconds since the run's start: one more than there are bins."""
        edges = [index * self.width for index in range(self.count)]
        return [*edges, self.end - self.start]

    def index(self, t: float) -> int | None:
        """The bin that `t` falls into."""
        if not self.start <= t <= self.end:
            return None
        return min(int((t - self.start) / self.width), self.count - 1)

    def rates(self, times: Iterable[float]) -> list[float]:
        """How many of `times` there are a second, bin by bin."""
        counts = [0] * self.count
        for t in times:
            index = self.index(t)
            if index is not None:
                counts[index] += 1
        edges = self.edges
        # The last bin may be a sliver; one request in a millisecond is not 1,000 a second.
        return [
            count / max(edges[index + 1] - edges[index], self.width / 2)
            for index, count in enumerate(counts)
        ]

    def percentiles(
        self, times: Sequence[float], values: Sequence[float], share: float
    ) -> list[float]:
        """The percentile of the values in each bin; NaN where there is none."""
        piles: list[list[float]] = [[] for _ in range(self.count)]
        for t, value in zip(times, values, strict=True):
            index = self.index(t)
            if index is not None:
                piles[index].append(value)
        return [percentile(sorted(pile), share) for pile in piles]

    def highest(self, times: Sequence[float], values: Sequence[float]) -> list[float]:
        """The largest value in each bin, carried on where nothing was measured."""
        made = [math.nan] * self.count
        for t, value in zip(times, values, strict=True):
            index = self.index(t)
            if index is not None and not made[index] >= value:
                made[index] = value
        known = math.nan
        last = max((index for index, value in enumerate(made) if value == value), default=-1)  # noqa: PLR0124  # NaN
        for index in range(last + 1):
            known = made[index] if not math.isnan(made[index]) else known
            made[index] = known
        return made


def probed(history: History, probe: str, key: str) -> tuple[list[float], list[float]]:
    """Times and values of one figure of a probe, where it was known."""
    rows = [(row.t, number(row[key])) for row in history.probe(probe)]
    known = [(t, value) for t, value in rows if value is not None]
    return [t for t, _ in known], [value for _, value in known]


def node_states(history: History) -> dict[str, list[tuple[float, float, str]]]:
    """For each node, stretches (begin, end, state), seconds since the run's start.

    The state is `active`, `standby`, `sealed` or `unreachable`; equal neighbours are one stretch.
    """
    looks: dict[str, list[tuple[float, str]]] = {name: [] for name in history.info.platform.nodes}
    for row in history.probe("node_health"):
        looks.setdefault(str(row["node"]), []).append((row.t - history.start, _state(row)))
    states: dict[str, list[tuple[float, float, str]]] = {}
    for node, seen in sorted(looks.items()):
        stretches: list[tuple[float, float, str]] = []
        for index, (t, state) in enumerate(seen):
            until = seen[index + 1][0] if index + 1 < len(seen) else t
            until = min(until, t + 2.0)  # a silent probe knows nothing: leave a gap
            if stretches and stretches[-1][2] == state and t - stretches[-1][1] < 0.01:
                stretches[-1] = (stretches[-1][0], until, state)
            else:
                stretches.append((t, until, state))
        states[node] = stretches
    return states


def _state(row: Sample) -> str:
    if row["active"] is True:
        return "active"
    if row["reachable"] is not True:
        return "unreachable"
    return "sealed" if row["sealed"] is True else "standby"
