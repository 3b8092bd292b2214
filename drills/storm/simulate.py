"""N clients under a renewal policy, as pure arithmetic on seeded dice: no clock, no I/O.

Vault answers at once here and never refuses, so the figures are the load that is asked of it, not
what it bears. `python -m loadtests.fleet` counts the same on a real Vault.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from random import Random

from drills.errors import SetupError
from loadtests.policies import POLICIES
from loadtests.rates import peak, per_second


class StormError(SetupError):
    """Raised when a storm can't be simulated: no such policy, no client, no time."""


@dataclass(frozen=True)
class Storm:
    """What `clients` clients asked of Vault in `seconds` seconds after they started together.

    `renewals` and `issues` are times in seconds since then, in order; the first lease of each
    client is among the issues. `first_renewals` are the first of each client.
    """

    policy: str
    clients: int
    ttl: float
    seconds: float
    renewals: tuple[float, ...]
    first_renewals: tuple[float, ...]
    issues: tuple[float, ...]

    @property
    def even_spread(self) -> float:
        """Renewals a second, were each lease renewed once a ttl, in turn: clients / ttl. The
        bound `renewal_peak` measures against the same."""
        return self.clients / self.ttl

    @cached_property
    def mean_rate(self) -> float:
        """Renewals a second on the average; what a policy can't go below by spreading alone."""
        return len(self.renewals) / self.seconds

    @cached_property
    def peak(self) -> int:
        """The most renewals in any window of one second."""
        return peak(self.renewals)

    @property
    def over_even_spread(self) -> float:
        """The peak as a multiple of the even spread."""
        return self.peak / self.even_spread

    def peak_from(self, start: float, *, window: float = 1.0) -> int:
        """Return the most renewals in any window from `start` seconds on."""
        return peak((at for at in self.renewals if at >= start), window=window)

    def per_second(self) -> list[int]:
        """Return the renewals in each second."""
        return per_second(self.renewals, self.seconds)


def simulate(
    policy: str,
    *,
    clients: int,
    ttl: float,
    seconds: float,
    seed: int = 0,
    max_ttl: float = math.inf,
    issues_per_second: float = math.inf,
) -> Storm:
    """Let `clients` clients start at once, and renew leases of `ttl` seconds for `seconds` s.

    `issues_per_second` is how fast Vault makes the first leases (about 220 on two cores); infinite,
    all begin in the same instant. At `max_ttl` seconds a lease can't be renewed further and the
    policy takes another. The same seed gives the same storm. Raises `StormError`.
    """
    if policy not in POLICIES:
        raise StormError(f"no policy {policy!r}; there are: {', '.join(POLICIES)}")
    if clients < 1 or not (0 < ttl <= max_ttl) or seconds <= 0 or issues_per_second <= 0:
        raise StormError(
            f"storm of {clients} clients, ttl {ttl:g} s, max_ttl {max_ttl:g} s, {seconds:g} s, "
            f"{issues_per_second:g} issues/s: each must be above 0, and ttl at most max_ttl"
        )
    renewals: list[float] = []
    first_renewals: list[float] = []
    issues: list[float] = []
    for number in range(clients):
        dice = Random(seed * 1_000_003 + number)  # noqa: S311 - a simulation is repeatable
        first = True
        for kind, at in _client(policy, dice, number / issues_per_second, ttl, max_ttl):
            if at >= seconds:
                break
            if kind == "issue":
                issues.append(at)
                continue
            renewals.append(at)
            if first:
                first_renewals.append(at)
                first = False
    return Storm(
        policy=policy,
        clients=clients,
        ttl=ttl,
        seconds=seconds,
        renewals=tuple(sorted(renewals)),
        first_renewals=tuple(sorted(first_renewals)),
        issues=tuple(sorted(issues)),
    )


def _client(
    name: str, dice: Random, start: float, ttl: float, max_ttl: float
) -> Iterator[tuple[str, float]]:
    """Yield what one client asks for, without end."""
    policy = POLICIES[name](dice)
    now = start
    while True:
        end = now + max_ttl
        yield "issue", now
        at = now + policy.first(ttl)
        while at < end:
            now = at
            yield "renew", now
            granted = min(ttl, end - now)
            if policy.rotates(ttl, granted):
                break
            at = now + policy.next(granted)
        else:
            now = end  # Vault refuses a renewal past max_ttl: the client reads anew


def uniform_peak(events: int, seconds: float, *, seed: int = 0, trials: int = 20) -> float:
    """Return the mean peak of `events` events thrown into `seconds` seconds at random.

    No fleet whose clients don't talk to each other can be expected to do better at that rate: the
    busiest second stands above the mean by chance alone.
    """
    dice = Random(seed)  # noqa: S311
    peaks = [peak(dice.uniform(0, seconds) for _ in range(events)) for _ in range(trials)]
    return sum(peaks) / trials
