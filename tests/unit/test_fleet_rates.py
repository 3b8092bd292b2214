"""The busiest second, and the simulator that is built on it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.storm import StormError, simulate, uniform_peak
from loadtests.policies import POLICIES
from loadtests.rates import peak, per_second

times = st.lists(st.floats(0, 100), max_size=60)


@given(times)
def test_the_peak_is_that_of_the_busiest_window(events: list[float]) -> None:
    """No window of a second, begun at any event, holds more; one holds as many."""
    counts = [sum(1 for at in events if start <= at and at - start < 1) for start in events]
    assert peak(events) == max(counts, default=0)


@given(times)
def test_the_seconds_add_up(events: list[float]) -> None:
    """Each event is counted in one second."""
    assert sum(per_second(events, 101)) == len(events)


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_a_simulated_client_is_never_without_a_lease(policy: str) -> None:
    """Between two renewals or issues of one client there is never more than a ttl, and a lease is
    replaced at max_ttl at the latest."""
    storm = simulate(policy, clients=1, ttl=60, max_ttl=300, seconds=3000, seed=7)
    done = sorted([*storm.renewals, *storm.issues])
    gaps = [later - earlier for earlier, later in itertools.pairwise(done)]
    assert max(gaps) <= 60
    ages = [b - a for a, b in zip(storm.issues, storm.issues[1:], strict=False)]
    assert ages
    assert max(ages) <= 300


def test_the_same_seed_gives_the_same_storm() -> None:
    """A figure can be had again."""
    one, other = (simulate("vso", clients=50, ttl=60, seconds=200, seed=3) for _ in range(2))
    assert one == other


def test_the_watchers_second_wave_is_a_window_of_a_thirtieth_of_the_lease() -> None:
    """N / (0.033 ttl), about 500/s for 1,000 clients of 60 s, as derived from its source."""
    storm = simulate("lifetime-watcher", clients=1000, ttl=60, seconds=60)
    assert storm.peak == 1000  # all renew at once on start
    assert 400 <= storm.peak_from(1) <= 600


def test_lease_aware_is_as_even_as_chance_allows() -> None:
    """Its busiest second is within a quarter of what dice alone make at its rate."""
    storm = simulate("lease-aware", clients=1000, ttl=60, seconds=300)
    assert storm.peak <= 1.25 * uniform_peak(len(storm.renewals), 300)


@pytest.mark.parametrize(
    ("policy", "changes", "said"),
    [
        ("nobody's", {}, "no policy"),
        ("vso", {"clients": 0}, "above 0"),
        ("vso", {"max_ttl": 30}, "at most max_ttl"),
    ],
)
def test_bad_input_is_one_line(policy: str, changes: dict[str, int], said: str) -> None:
    """What can't be simulated is said, with what there is."""
    with pytest.raises(StormError, match=said):
        simulate(policy, **{"clients": 1, "ttl": 60, "seconds": 60, **changes})
