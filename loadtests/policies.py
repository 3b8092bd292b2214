"""When the clients people run renew a lease: their schedules, as pure functions of dice.

D is the seconds that Vault granted, U a number drawn uniformly from 0 to 1. All results are seconds
counted from the grant. What a client does beyond its schedule (Vault away, a renewal refused) is
`loadtests.fleet`'s.

>>> policy = POLICIES["vso"](Random())
>>> policy.first(60.0), policy.next(60.0)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import ClassVar

from loadtests.pools import renewal

_GENERIC_BASE_SECONDS = 1.0
_GENERIC_CAP_SECONDS = 60.0


class Policy(ABC):
    """The schedule of one client; it may keep what it drew from one cycle to the next."""

    name: ClassVar[str]
    gives_back: ClassVar[bool] = False
    """Whether it revokes its old lease once it has the next; most leave it to its end."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def first(self, seconds: float) -> float:
        """Return when to renew a lease of `seconds` that was issued just now."""
        return self.next(seconds)

    @abstractmethod
    def next(self, seconds: float) -> float:
        """Return when to renew a lease of `seconds` that was renewed just now."""

    def rotates(self, asked: float, granted: float) -> bool:
        """Say whether a renewal that was granted `granted` of `asked` seconds makes it take a new
        lease at once. By default any shortening does: max_ttl is near."""
        return renewal.truncated(asked, granted)

    def retry(self, attempt: int) -> float:
        """Return the seconds to wait after failure number `attempt` (from 1).

        Where no source says more: full jitter under 1 s, doubling to a minute.
        """
        return renewal.backoff(
            attempt, self.random, base=_GENERIC_BASE_SECONDS / 2, cap=_GENERIC_CAP_SECONDS
        )


class LeaseAware(Policy):
    """The reference pool: 0.3 D to 0.7 D, drawn anew each cycle; the first one as if it had been
    renewing for ever. Source: `loadtests/pools/renewal.py`, which is what runs here."""

    name = "lease-aware"
    gives_back = True

    def first(self, seconds: float) -> float:
        """Draw from 0 to 0.7 D, so that a synchronised start is spread from its first second."""
        return renewal.renewal_time(renewal.Lease(0.0, seconds), self.random, fresh=True)

    def next(self, seconds: float) -> float:
        """Draw from 0.3 D to 0.7 D."""
        return renewal.renewal_time(renewal.Lease(0.0, seconds), self.random, fresh=False)

    def retry(self, attempt: int) -> float:
        """Full jitter under 0.2 s, doubling to 0.8 s: the reference pool's pace while Vault is
        unavailable."""
        return renewal.backoff(attempt, self.random)


class LifetimeWatcher(Policy):
    """Vault's API client and Agent: at once on start, then 2 D / 3 + grace / 3, that is 0.700 D to
    0.733 D, where grace = 0.1 D + 0.1 D U.

    Source: hashicorp/vault, api/lifetime_watcher.go. The grace is drawn only when the granted time
    has grown, so a client keeps its place in the window from cycle to cycle. After an error: 10 s,
    doubling to 5 min (hashicorp/vault#26382: not always kept to).
    """

    name = "lifetime-watcher"

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self._grace = self._prior = 0.0

    def first(self, seconds: float) -> float:
        """Renew at once."""
        self._grace = self._prior = 0.0
        return 0.0

    def next(self, seconds: float) -> float:
        """Return 2 D / 3 + grace / 3."""
        if seconds > self._prior:
            self._grace = 0.1 * seconds + 0.1 * seconds * self.random.random()
        self._prior = seconds
        return 2.0 * seconds / 3.0 + self._grace / 3.0

    def rotates(self, asked: float, granted: float) -> bool:
        """The watcher ends, and its owner reads anew, once it would sleep into the grace."""
        if self._grace == 0.0:  # its first renewal: no grace is drawn yet
            return False
        sleep = 2.0 * granted / 3.0 + self._grace / 3.0
        return granted <= self._grace or granted - sleep <= self._grace

    def retry(self, attempt: int) -> float:
        """10 s, doubling to 5 min."""
        return min(10.0 * 2.0 ** min(attempt - 1, 30), 300.0)


class ConsulTemplate(Policy):
    """consul-template: D / 3 (1 + U) / 2, that is D / 6 to D / 3 for a lease that is renewable.

    Source: hashicorp/consul-template, dependency/vault_common.go. One that is not is read anew at
    0.85 D + 0.1 D U (`read_anew`); consul-template#2165: about 600 new roles a minute.
    """

    name = "consul-template"

    def next(self, seconds: float) -> float:
        """Draw from D / 6 to D / 3."""
        return seconds / 3.0 * (1.0 + self.random.random()) / 2.0

    def read_anew(self, seconds: float) -> float:
        """Return when a lease that can't be renewed is replaced: 0.85 D to 0.95 D."""
        return seconds * (0.85 + 0.1 * self.random.random())


class Spring(Policy):
    """Spring Vault: max(10 s, D - 60 s), without jitter.

    Source: spring-projects/spring-vault, LeaseAwareVaultPropertySource and
    SecretLeaseContainer (minimum renewal 10 s, expiry threshold 60 s). A lease of 70 s or less is
    renewed every 10 s; one of less than 10 s would end first, so it is renewed at its end.
    spring-cloud-vault#708, #743: dead after max_ttl where the secret is not `rotating`.
    """

    name = "spring"

    def next(self, seconds: float) -> float:
        """Return max(10 s, D - 60 s), never beyond the lease."""
        return min(max(10.0, seconds - 60.0), seconds)

    def rotates(self, asked: float, granted: float) -> bool:
        """A lease shorter than the minimum renewal of 10 s counts as expired."""
        return granted < min(10.0, asked)


class Vso(Policy):
    """Vault Secrets Operator: 0.67 D + 0.1 D U, that is 0.67 D to 0.77 D.

    Source: hashicorp/vault-secrets-operator, `renewalPercent` (67 by default) and the jitter of
    controllers/common.go. VSO#285: a restart of the operator rolls the whole fleet.
    """

    name = "vso"

    def next(self, seconds: float) -> float:
        """Draw from 0.67 D to 0.77 D."""
        return seconds * (0.67 + 0.1 * self.random.random())


POLICIES: Mapping[str, type[Policy]] = MappingProxyType(
    {kind.name: kind for kind in (LeaseAware, LifetimeWatcher, ConsulTemplate, Spring, Vso)}
)
"""By the names that `--policy` takes."""
