"""When to renew a lease, when to give up on it: pure functions of the clock that is passed in.

All times are seconds of one monotonic clock. A lease of D seconds is renewed at a time drawn anew
each cycle from 30 to 70 % of D; a renewal that failed is tried again within what remains; from 80 %
on a new credential is asked for instead; it is never used past its deadline, 90 % of D or 6 s
before its end, whichever is later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from random import Random

SKEW_MARGIN_SECONDS = 6.0
"""Vault writes VALID UNTIL with 5 s of slack against clocks that disagree; ours is above it."""

OUTAGE_CAP_SECONDS = 0.8
"""Longest pause between tries while Vault is away: less than a second, so that the try that finds
it back, the issue and the connect are done little more than a second after its return."""

_SKEW_MARGIN_SHARE = 0.1
_WINDOW = (0.3, 0.7)
_REPLACE_FROM = 0.8
_RETRY_FLOOR_SECONDS = 0.05
_TRUNCATED_BELOW = 0.5  # seconds: grants are whole seconds


@dataclass(frozen=True)
class Lease:
    """What bounds a credential. `granted_at` is when the request for it was sent, so that the
    time on the wire counts against us; the other two are infinite where they are not known."""

    granted_at: float
    seconds: float
    token_expires_at: float = math.inf
    max_ttl_expires_at: float = math.inf

    @property
    def expires_at(self) -> float:
        """The end: of the lease, of the token that made it, or of max_ttl."""
        return min(self.granted_at + self.seconds, self.token_expires_at, self.max_ttl_expires_at)

    @property
    def usable_seconds(self) -> float:
        """From the grant to the end; never negative."""
        return max(0.0, self.expires_at - self.granted_at)

    @property
    def deadline(self) -> float:
        """From here on the credential is not lent any more."""
        margin = min(SKEW_MARGIN_SECONDS, self.usable_seconds * _SKEW_MARGIN_SHARE)
        return self.granted_at + self.usable_seconds - margin

    @property
    def replace_at(self) -> float:
        """From here on a renewal that keeps failing gives way to a new credential."""
        return self.granted_at + self.usable_seconds * _REPLACE_FROM


def renewal_time(lease: Lease, random: Random, *, fresh: bool) -> float:
    """Draw when to renew `lease`.

    A fresh lease may have been issued in the same second as a thousand others (a deployment, a
    mass revocation). Its first renewal is drawn as if the client had been renewing forever and was
    met at a random moment: then the fleet's rate is even from the first second on. Later ones are
    drawn uniformly from the window.
    """
    low, high = (share * lease.usable_seconds for share in _WINDOW)
    if not fresh:
        return lease.granted_at + random.uniform(low, high)
    # An interval met at random is drawn in proportion to its length; we are somewhere in it.
    interval = math.sqrt(random.uniform(low * low, high * high))
    return lease.granted_at + random.random() * interval


def truncated(requested_seconds: float, granted_seconds: float) -> bool:
    """Say whether Vault granted less than was asked for: max_ttl is near, so rotate now."""
    return granted_seconds < requested_seconds - _TRUNCATED_BELOW


def retry_time(
    lease: Lease, now: float, attempt: int, random: Random, *, retry_after: float | None = None
) -> float | None:
    """Draw when to try again after failure number `attempt` (from 1), before the deadline.

    Full jitter over a ceiling that doubles, and at most half of what remains, so that one slow
    draw does not spend it all; the floor keeps the tries countable. Returns None when less than
    the floor is left, or when Vault's `retry_after` lies beyond the deadline.
    """
    earliest = now + (retry_after or 0.0)
    remains = lease.deadline - earliest
    floor = max(_RETRY_FLOOR_SECONDS, lease.usable_seconds * 0.005)
    if remains <= floor:
        return None
    ceiling = min(lease.usable_seconds * 0.02 * 2.0 ** min(attempt, 30), remains / 2)
    return min(earliest + random.uniform(floor, max(floor, ceiling)), lease.deadline)


def backoff(
    attempt: int,
    random: Random,
    *,
    base: float = 0.1,
    cap: float = OUTAGE_CAP_SECONDS,
    retry_after: float | None = None,
) -> float:
    """Draw the seconds to wait after failure number `attempt` (from 1): full jitter, on top of
    Vault's `retry_after`."""
    ceiling = min(cap, base * 2.0 ** min(attempt, 30))
    return (retry_after or 0.0) + random.uniform(0.0, ceiling)


class Trouble(Enum):
    """Why a renewal failed."""

    LEASE_GONE = "lease gone"
    AUTH_REFUSED = "auth refused"
    UNAVAILABLE = "unavailable"


class Step(Enum):
    """What to do next."""

    RETRY = "renew again"
    REPLACE = "issue a new credential"
    LOGIN_AND_REPLACE = "log in, then issue a new credential"


def after_failed_renewal(trouble: Trouble, lease: Lease, now: float) -> Step:
    """Choose the step after a renewal failed. An outage alone never asks for a new credential
    while there is time to renew; each step that issues goes through a `TokenBucket`."""
    if trouble is Trouble.LEASE_GONE:
        return Step.REPLACE
    if trouble is Trouble.AUTH_REFUSED:
        return Step.LOGIN_AND_REPLACE
    return Step.RETRY if now < lease.replace_at else Step.REPLACE


@dataclass
class TokenBucket:
    """Bounds issuance: `burst` at once, then one every `interval` seconds."""

    burst: int = 3
    interval: float = 1.0
    _level: float = math.nan
    _at: float = -math.inf

    def wait(self, now: float) -> float:
        """Return the seconds until `take` may be called; 0 when it may be now."""
        level = self._level_at(now)
        return 0.0 if level >= 1.0 else (1.0 - level) * self.interval

    def take(self, now: float) -> bool:
        """Take one, if there is one."""
        level = self._level_at(now)
        if level < 1.0:
            return False
        self._level, self._at = level - 1.0, now
        return True

    def _level_at(self, now: float) -> float:
        if math.isnan(self._level):
            return float(self.burst)
        return min(float(self.burst), self._level + max(0.0, now - self._at) / self.interval)
