"""Who held a lease, and when: from the audit log alone. Pure functions.

For clients that hold one lease each, as those of a fleet do. A lease lives for the role's ttl from
the moment that Vault answered its issue or its last renewal; what a lease that is near its max_ttl
got less than that is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from drills.bounds.history import History

#: How much of a lease's life an answer of Vault's may take.
_ANSWER = 0.05


@dataclass(slots=True)
class Holder:
    """One client (a Vault token): when it was issued a lease, or had it renewed; when it left.

    `left` is when it logged out or was ended by the drill, None for one that stayed.
    `passing`: it logged out by itself.
    """

    served: list[tuple[float, str]] = field(default_factory=list)
    left: float | None = None
    passing: bool = False

    def held(self, ttl: float) -> Iterator[tuple[float, float]]:
        """[start, end) of each stretch in which it held a live lease."""
        begun: float | None = None
        until = 0.0
        for t, _op in self.served:
            if begun is not None and t > until:
                yield begun, until
                begun = None
            begun = t if begun is None else begun
            until = t + ttl
        if begun is not None:
            yield begun, until if self.left is None else max(begun, min(until, self.left))

    def lost(self, ttl: float, start: float, end: float) -> int:
        """How often in [start, end) a lease of its ended before it had the next one."""
        # Vault renews no lease that has ended: a late answer to a renewal is not a lost one. Who
        # takes a new one counts the old one's time from its request, Vault's log from the answer:
        # at its very end the gap looks a little shorter than the ttl.
        ends = ttl * (1 - _ANSWER)
        gaps = sum(
            op == "issue" and later - earlier > ends and earlier + ttl >= start
            for (earlier, _), (later, op) in pairwise(self.served)
        )
        last, stop = self.served[-1][0], end if self.left is None else self.left
        return gaps + (stop - last > ttl and last + ttl >= start)


def restarts(history: History) -> list[float]:
    """When a fault ended every client of the fleet."""
    return [row.t for row in history.probe("fleet_restart")]


def holders(history: History) -> dict[str, Holder]:
    """Every client that was served a lease of the run's role, by its name in the audit log."""
    found: dict[str, Holder] = {}
    role, ends = history.info.platform.role, restarts(history)
    every = history.window("all")
    over = every.end if every is not None else history.end  # then the load ends, and all log out
    for row in history.probe("audit"):
        if row.t >= over:
            break
        client = row["client"]
        if not isinstance(client, str) or row["ok"] is not True or row["operator"] is True:
            continue
        one = found.get(client)
        if row["op"] in {"issue", "renew"} and row["role"] == role:
            one = found.setdefault(client, Holder())
            if one.left is None:
                # A token from before a restart can't outlive it: what comes later was on its way.
                first = one.served[0][0] if one.served else row.t
                one.left = next((end for end in ends if first < end <= row.t), None)
            if one.left is None:
                one.served.append((row.t, row["op"]))
        elif row["op"] == "logout" and one is not None and one.left is None:
            one.left, one.passing = row.t, True
    for one in found.values():
        if one.left is None:
            one.left = next((end for end in ends if one.served[0][0] < end), None)
    return {name: one for name, one in found.items() if one.served}


def fleet_size(history: History) -> int | None:
    """Clients of the drill's fleet; None for a load of another kind."""
    load = history.info.drill.get("load")
    size = load.get("fleet") if isinstance(load, dict) else None
    return size if isinstance(size, int) and size > 0 else None


def last_below(
    everyone: list[Holder], wanted: int, ttl: float, start: float, end: float
) -> tuple[float | None, int]:
    """(the last moment of [start, end) at which fewer than `wanted` held a lease, the fewest that
    did). The moment is None when there was none, and `end` when it was so to the end."""
    steps: list[tuple[float, int]] = []
    for one in everyone:
        for begun, until in one.held(ttl):
            steps += [(begun, 1), (until, -1)]
    steps.sort()
    last: float | None = None
    fewest, count, at = wanted, 0, start
    for t, step in [*steps, (end, 0)]:
        t = min(max(t, start), end)  # noqa: PLW2901 - what was before is the count at the start
        if t > at:
            fewest = min(fewest, count)
            if count < wanted:
                last = t
            at = t
        count += step
    return last, fewest
