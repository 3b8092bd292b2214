"""The renewal policies keep to the windows of their sources, whatever the dice say."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.policies import POLICIES, ConsulTemplate, LifetimeWatcher, Spring

lengths = st.floats(1, 1e6)
dice = st.integers().map(Random)


def seeded(seed: int) -> Random:
    """Dice that fall the same way each time."""
    return Random(seed)  # noqa: S311 - no secret


WINDOWS = {
    # name: (earliest, latest) of D seconds; sources in loadtests/policies.py
    "lease-aware": (0.3, 0.7),
    "lifetime-watcher": (0.7, 0.7334),
    "consul-template": (1 / 6, 1 / 3),
    "vso": (0.67, 0.77),
}


def test_every_policy_has_a_window_here() -> None:
    """A new policy can't come without its property."""
    assert set(POLICIES) == {*WINDOWS, "spring"}


@pytest.mark.parametrize("name", WINDOWS)
@given(seconds=lengths, random=dice)
def test_a_renewal_lies_in_the_window(name: str, seconds: float, random: Random) -> None:
    """Each renewal after the first falls in the source's share of the lease."""
    policy = POLICIES[name](random)
    low, high = (share * seconds for share in WINDOWS[name])
    for _ in range(5):
        assert low * (1 - 1e-9) <= policy.next(seconds) <= high * (1 + 1e-9)


@pytest.mark.parametrize("name", sorted(WINDOWS))
def test_the_window_is_used_up(name: str) -> None:
    """A fleet's renewals reach into the first and the last tenth of the window, not less."""
    low, high = (share * 60.0 for share in WINDOWS[name])
    drawn = [POLICIES[name](seeded(seed)).next(60.0) for seed in range(500)]
    assert min(drawn) < low + 0.1 * (high - low)
    assert max(drawn) > high - 0.11 * (high - low)


@given(lengths, dice)
def test_lease_aware_spreads_a_synchronised_start(seconds: float, random: Random) -> None:
    """The first renewal may come at any time up to 0.7 D."""
    assert 0 <= POLICIES["lease-aware"](random).first(seconds) <= 0.7 * seconds * (1 + 1e-9)


@given(lengths, dice)
def test_the_watcher_renews_at_once_and_keeps_its_place(seconds: float, random: Random) -> None:
    """The first renewal has no wait; the grace is drawn once while the lease does not grow."""
    policy = LifetimeWatcher(random)
    assert policy.first(seconds) == 0.0
    assert policy.next(seconds) == policy.next(seconds)


@given(lengths, dice)
def test_the_watcher_ends_when_the_lease_no_longer_reaches_past_its_grace(
    seconds: float, random: Random
) -> None:
    """A full renewal goes on; one cut to less than the grace makes it read anew."""
    policy = LifetimeWatcher(random)
    policy.next(seconds)
    assert not policy.rotates(seconds, seconds)
    assert policy.rotates(seconds, 0.09 * seconds)


@given(dice)
def test_the_watcher_backs_off_from_ten_seconds_to_five_minutes(random: Random) -> None:
    """10, 20, 40, ... 300, 300 s, without jitter."""
    policy = LifetimeWatcher(random)
    assert [policy.retry(n) for n in range(1, 8)] == [10, 20, 40, 80, 160, 300, 300]


@given(lengths, dice)
def test_consul_template_reads_anew_near_the_end(seconds: float, random: Random) -> None:
    """What can't be renewed is replaced from 0.85 D to 0.95 D."""
    at = ConsulTemplate(random).read_anew(seconds)
    assert 0.85 * seconds * (1 - 1e-9) <= at <= 0.95 * seconds * (1 + 1e-9)


@given(lengths, dice, dice)
def test_spring_has_no_jitter(seconds: float, one: Random, other: Random) -> None:
    """All clients renew together: max(10 s, D - 60 s) after the grant, or at the end."""
    at = Spring(one).next(seconds)
    assert at == Spring(other).next(seconds)
    assert at == min(seconds, max(10.0, seconds - 60.0))


@pytest.mark.parametrize("name", sorted(POLICIES))
@given(seconds=lengths, random=dice, attempt=st.integers(1, 10_000))
def test_no_wait_is_negative_or_endless(
    name: str, seconds: float, random: Random, attempt: int
) -> None:
    """No renewal is scheduled past the end of its lease, and no retry beyond five minutes."""
    policy = POLICIES[name](random)
    assert 0 <= policy.first(seconds) <= seconds
    assert 0 <= policy.next(seconds) <= seconds
    assert 0 <= policy.retry(attempt) <= 300


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_lease_cut_to_nothing_is_rotated(name: str) -> None:
    """At max_ttl every policy takes a new lease; after a full renewal none does."""
    policy = POLICIES[name](seeded(1))
    policy.next(60.0)
    assert policy.rotates(60.0, 1.0)
    assert not policy.rotates(60.0, 60.0)
