"""The renewal schedule, as properties over many leases, clocks and dice."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.pools.renewal import (
    SKEW_MARGIN_SECONDS,
    Lease,
    Step,
    TokenBucket,
    Trouble,
    after_failed_renewal,
    backoff,
    renewal_time,
    retry_time,
    truncated,
)

starts = st.floats(0, 1e7)
lengths = st.floats(1, 1e6)
dice = st.integers().map(Random)


@st.composite
def leases(draw: st.DrawFn) -> Lease:
    granted_at, seconds = draw(starts), draw(lengths)
    ends = st.just(float("inf")) | st.floats(1, 1e6).map(lambda more: granted_at + more)
    return Lease(granted_at, seconds, draw(ends), draw(ends))


@given(leases())
def test_the_deadline_is_the_least_of_lease_token_and_max_ttl_less_a_margin(lease: Lease) -> None:
    """No credential is used up to its end: a margin is kept, in proportion where time is short."""
    end = min(lease.granted_at + lease.seconds, lease.token_expires_at, lease.max_ttl_expires_at)
    margin = min(SKEW_MARGIN_SECONDS, 0.1 * (end - lease.granted_at))
    assert lease.expires_at == end
    assert lease.deadline == pytest.approx(end - margin, abs=1e-6)
    assert lease.granted_at <= lease.deadline < end


def test_the_margin_covers_the_clock_slack_of_vault() -> None:
    """A lease of a minute or more keeps over the 5 s by which VALID UNTIL forgives clocks."""
    assert Lease(0, 60).deadline <= 60 - 5.001
    assert Lease(0, 3600).deadline <= 3600 - 5.001


@given(leases(), dice, st.booleans())
def test_a_renewal_never_comes_after_the_deadline(
    lease: Lease, random: Random, fresh: bool
) -> None:
    """The first try lies before the deadline, with room for retries."""
    at = renewal_time(lease, random, fresh=fresh)
    assert lease.granted_at <= at < lease.deadline
    assert lease.deadline - at >= 0.15 * lease.usable_seconds


@given(leases(), dice, st.booleans())
def test_renewals_are_spread_over_a_fifth_of_the_lease_and_more(
    lease: Lease, random: Random, fresh: bool
) -> None:
    """Drawn anew each time, they fill a window of at least 20 % of the lease."""
    drawn = [renewal_time(lease, random, fresh=fresh) for _ in range(200)]
    assert max(drawn) - min(drawn) >= 0.2 * lease.usable_seconds


def test_a_fleet_that_starts_together_renews_evenly_from_the_first_second() -> None:
    """Clients of one deployment make no storm: no second of the first cycles has 1.5 times its
    share (1,000 clients would peak at 15 times under a 3.3 % window)."""
    random, seconds, clients = Random(1), 60, 20_000  # noqa: S311 - a fixed seed
    counts = [0] * (3 * seconds)
    for _ in range(clients):
        at = renewal_time(Lease(0, seconds), random, fresh=True)
        while at < len(counts):
            counts[int(at)] += 1
            at = renewal_time(Lease(at, seconds), random, fresh=False)
    assert max(counts) <= 1.5 * sum(counts) / len(counts)


@given(leases(), dice, st.floats(0, 1.2), st.integers(1, 500), st.none() | st.floats(0, 1e6))
def test_a_retry_lies_within_what_remains(
    lease: Lease, random: Random, part: float, attempt: int, retry_after: float | None
) -> None:
    """A retry is never past the deadline, never before Vault's Retry-After, and never at once."""
    now = lease.granted_at + part * lease.usable_seconds
    at = retry_time(lease, now, attempt, random, retry_after=retry_after)
    if at is not None:
        assert now + (retry_after or 0.0) < at <= lease.deadline
    elif retry_after is None:
        assert lease.deadline - now <= max(0.05, 0.005 * lease.usable_seconds) + 1e-6


@given(leases(), dice)
def test_retries_of_one_lease_can_be_counted(lease: Lease, random: Random) -> None:
    """However long Vault is away, one lease's retries are few: they back off, and end."""
    now, tries = lease.granted_at, 0
    while (at := retry_time(lease, now, tries + 1, random)) is not None:
        now, tries = at, tries + 1
    assert tries <= 200


@given(st.integers(1, 10_000), dice, st.none() | st.floats(0, 600))
def test_backoff_is_full_jitter_on_top_of_retry_after(
    attempt: int, random: Random, retry_after: float | None
) -> None:
    """Without a lease the next try comes within a second of what Vault asks for."""
    wait = backoff(attempt, random, retry_after=retry_after)
    assert (retry_after or 0.0) <= wait <= (retry_after or 0.0) + 1.0


@given(st.integers(1, 10**6), st.integers(0, 10**6))
def test_a_renewal_that_grants_less_than_asked_is_truncated(asked: int, granted: int) -> None:
    """Grants are whole seconds, and one second less already says that max_ttl is near."""
    assert truncated(asked, granted) == (granted < asked)


@given(leases(), st.floats(0, 0.79))
def test_an_outage_alone_mints_nothing_while_there_is_time(lease: Lease, part: float) -> None:
    """An unavailable Vault is asked to renew again; only a lost lease or login asks for a new
    credential at once."""
    now = lease.granted_at + part * lease.usable_seconds
    assert after_failed_renewal(Trouble.UNAVAILABLE, lease, now) is Step.RETRY
    assert after_failed_renewal(Trouble.LEASE_GONE, lease, now) is Step.REPLACE
    assert after_failed_renewal(Trouble.AUTH_REFUSED, lease, now) is Step.LOGIN_AND_REPLACE


@given(
    st.lists(st.tuples(st.floats(0, 5), st.sampled_from(Trouble)), max_size=300),
    st.integers(1, 5),
    st.floats(0.1, 10),
)
def test_failed_renewals_never_mint_in_a_loop(
    failures: list[tuple[float, Trouble]], burst: int, interval: float
) -> None:
    """Whatever fails however often, new credentials are bounded by the bucket."""
    bucket, now, minted, lease = TokenBucket(burst, interval), 0.0, 0, Lease(0, 10)
    for pause, trouble in failures:
        now += pause
        if after_failed_renewal(trouble, lease, now) is not Step.RETRY and bucket.take(now):
            minted += 1
            lease = Lease(now, 10)
    assert minted <= burst + now / interval + 1e-6


@given(st.integers(1, 5), st.floats(0.1, 10), st.lists(st.floats(0, 20), min_size=1, max_size=50))
def test_a_bucket_can_be_taken_from_after_the_wait_that_it_names(
    burst: int, interval: float, pauses: list[float]
) -> None:
    """`wait` is neither too short nor, from a full bucket, more than nothing."""
    bucket, now = TokenBucket(burst, interval), 0.0
    assert bucket.wait(now) == 0
    for pause in pauses:
        now += pause
        now += bucket.wait(now) + 1e-6
        assert bucket.take(now)
