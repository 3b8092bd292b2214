"""When drills may run, and which third-party keys are overdue."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.calendar import closed, is_open, overdue
from infra.platform import ApiKey, DrillWindow, Platform

DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
NIGHT = DrillWindow(days=["sat"], start="22:00", end="02:00")
NOON = DrillWindow(days=["mon", "wed"], start="11:30", end="12:30")


@pytest.mark.parametrize(
    ("window", "when", "open_"),
    [
        (NOON, "2026-11-23T11:30", True),
        (NOON, "2026-11-23T12:29", True),
        (NOON, "2026-11-23T12:30", False),
        (NOON, "2026-11-24T12:00", False),
        (NIGHT, "2026-11-21T22:00", True),
        (NIGHT, "2026-11-22T01:59", True),
        (NIGHT, "2026-11-22T02:00", False),
        (NIGHT, "2026-11-22T23:00", False),
        (NIGHT, "2026-11-21T01:00", False),
    ],
)
def test_window_is_open_on_its_days(window: DrillWindow, when: str, *, open_: bool) -> None:
    """A window is open on its days, its end not included; over midnight it keeps its day."""
    assert is_open(window, datetime.fromisoformat(when).replace(tzinfo=UTC)) is open_


clocks = st.integers(0, 24 * 60 - 1).map(lambda m: f"{m // 60:02}:{m % 60:02}")
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(
    lambda naive: naive.replace(tzinfo=UTC)
)


@given(st.sets(st.sampled_from(DAYS), min_size=1), clocks, clocks, moments)
def test_a_window_and_its_complement_share_no_moment(
    days: set[Any], start: str, end: str, now: datetime
) -> None:
    """On every day at once, a window and the one from its end to its start fill the time."""
    if start == end:
        return
    one = DrillWindow(days=cast("Any", DAYS), start=start, end=end)
    other = DrillWindow(days=cast("Any", DAYS), start=end, end=start)
    assert is_open(one, now) is not is_open(other, now)
    some = DrillWindow(days=cast("Any", sorted(days)), start=start, end=end)
    assert is_open(one, now) or not is_open(some, now)
    assert is_open(some, now) is is_open(some, now + timedelta(days=7))


def test_closed_window_says_when_it_opens() -> None:
    """A drill outside the window is refused by one line that names window, hour and key."""
    platform = cast("Platform", SimpleNamespace(stack="prod", drills=SimpleNamespace(window=NOON)))
    said = closed(platform, datetime(2026, 11, 24, 12, tzinfo=UTC))
    assert said is not None
    assert "mon, wed from 11:30 to 12:30 UTC" in said
    assert "Tue 12:00" in said
    assert "drills:window in Pulumi.prod.yaml" in said
    assert closed(platform, datetime(2026, 11, 23, 12, tzinfo=UTC)) is None


def test_key_is_overdue_the_day_after() -> None:
    """On its day a key is not overdue yet; on the next it is, and its owner is named."""
    key = ApiKey(path="secret/prod/orders/pay", owner="pay team", rotate_by=date(2026, 11, 20))
    platform = cast("Platform", SimpleNamespace(api_keys=[key]))
    assert overdue(platform, date(2026, 11, 20)) == []
    (line,) = overdue(platform, date(2026, 11, 21))
    assert "secret/prod/orders/pay" in line
    assert "pay team" in line
