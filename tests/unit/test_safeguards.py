"""Safeguards."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from drills.definition import FailedRatioGuard, LeaderMissingGuard, SafeguardSpec
from drills.safeguards import Watch


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "requests.jsonl"
    path.touch()
    return path


def requests(log: Path, *, ok: bool, count: int) -> None:
    with log.open("a") as file:
        for _ in range(count):
            row = {"t": time.monotonic(), "s": 0.001, "op": "GET", "ok": ok, "error": None}
            file.write(json.dumps(row) + "\n")


def ratio_guard(log: Path, seconds: str = "1ms") -> Watch:
    params = FailedRatioGuard.model_validate({"over": 0.5, "for": seconds})
    watch = Watch((SafeguardSpec("failed_ratio", params),), log)
    watch.begin()
    return watch


def test_ratio_over_limit_for_its_window_breaches(log: Path) -> None:
    """A ratio that stays over its limit for the whole window is a breach, with its figures."""
    watch = ratio_guard(log)
    requests(log, ok=False, count=60)
    requests(log, ok=True, count=20)
    deadline = time.monotonic() + 2
    breach = watch.breach()
    while breach is None and time.monotonic() < deadline:
        breach = watch.breach()
    assert breach is not None
    assert (breach.safeguard, breach.observed, breach.limit) == ("failed_ratio", 0.75, 0.5)
    assert breach.breached <= time.monotonic()


def test_ratio_under_limit_or_of_few_requests_is_none(log: Path) -> None:
    """A ratio at the limit, or of fewer than 20 requests, is no breach."""
    watch = ratio_guard(log)
    requests(log, ok=False, count=10)
    assert watch.breach() is None
    requests(log, ok=True, count=20)
    assert watch.breach() is None


def test_short_breach_is_debounced(log: Path) -> None:
    """A ratio over its limit for less than its window is no breach."""
    watch = ratio_guard(log, "30s")
    requests(log, ok=False, count=60)
    assert watch.breach() is None


def test_what_came_before_is_not_held_against_it(log: Path) -> None:
    """Requests from before the watch began do not count."""
    requests(log, ok=False, count=60)
    watch = ratio_guard(log)
    assert watch.breach() is None


def test_missing_leader_breaches(log: Path) -> None:
    """No active node for longer than allowed is a breach; an active one resets it."""
    params = LeaderMissingGuard.model_validate({"for": "50ms"})
    watch = Watch((SafeguardSpec("leader_missing", params),), log)
    watch.begin()
    watch.node_health(t=time.monotonic(), active=True)
    assert watch.breach() is None
    deadline = time.monotonic() + 2
    while watch.breach() is None and time.monotonic() < deadline:
        watch.node_health(t=time.monotonic(), active=False)
    assert watch.breach() is not None
    watch.node_health(t=time.monotonic(), active=True)
    assert watch.breach() is None
