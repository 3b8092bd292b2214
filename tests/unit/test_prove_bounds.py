"""The bounds that known-bad clients and configurations break: kept, broken, and missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_judge_runs import ANCHOR, samples, write_run

from drills.bounds import BOUNDS, Finding, evaluate
from drills.bounds.renewals_per_client import most_within
from drills.record import read


def found(root: Path, name: str, limit: int, rows: list[dict[str, Any]]) -> Finding:
    """What the bound says on a made-up run with these samples."""
    bound = BOUNDS[name]
    params = bound.params.model_validate({"at_most": limit})
    return evaluate(bound, params, read(write_run(root, measured=rows)))


def changed(probe: str, **fields: Any) -> list[dict[str, Any]]:
    """The samples of a run that passes, with fields of one probe replaced."""
    return [{**row, **fields} if row["probe"] == probe else row for row in samples()]


def without(probe: str) -> list[dict[str, Any]]:
    """The same without one probe."""
    return [row for row in samples() if row["probe"] != probe]


def renewals(count: int, *, every: float, client: str | None = None) -> list[dict[str, Any]]:
    """That many renewals, by one client or each by another."""
    return [
        {
            "t": ANCHOR + 30 + number * every,
            "probe": "audit",
            "op": "renew",
            "client": client or f"c{number}x",
            "ok": True,
        }
        for number in range(count)
    ]


CASES = [
    ("duplicate_effects", "effects", {"duplicates": 3}, 3),
    ("excess_capabilities", "capabilities", {"allowed": ["sys/seal", "sys/audit/x"]}, 2),
    ("static_sessions", "static_sessions", {"sessions": 7}, 7),
    ("leases_left", "settled", {"leases": 9}, 5),
]


@pytest.mark.parametrize(("name", "probe", "fields", "observed"), CASES)
def test_broken(
    tmp_path: Path, name: str, probe: str, fields: dict[str, Any], observed: int
) -> None:
    """What the servers saw beyond the limit breaks the bound, and is the figure."""
    finding = found(tmp_path, name, 0, changed(probe, **fields))
    assert (finding.verdict, finding.observed) == ("fail", observed)


@pytest.mark.parametrize(("name", "probe", "fields", "observed"), CASES)
def test_missing_is_inconclusive(
    tmp_path: Path, name: str, probe: str, fields: dict[str, Any], observed: int
) -> None:
    """Without its samples, or with empty ones, a bound says nothing."""
    nothing = dict.fromkeys(fields)
    assert found(tmp_path / "1", name, 0, without(probe)).verdict == "inconclusive"
    assert found(tmp_path / "2", name, 0, changed(probe, **nothing)).verdict == "inconclusive"


@pytest.mark.parametrize(
    "name", ["duplicate_effects", "excess_capabilities", "leases_left", "static_sessions"]
)
def test_kept(tmp_path: Path, name: str) -> None:
    """A run in which nothing of it was seen keeps the bound."""
    assert found(tmp_path, name, 0, samples()).verdict == "pass"


def test_a_run_that_wrote_nothing(tmp_path: Path) -> None:
    """No duplicates among no orders proves nothing."""
    rows = changed("effects", written=0)
    assert found(tmp_path, "duplicate_effects", 0, rows).verdict == "inconclusive"


def test_capabilities_of_another_service_do_not_count(tmp_path: Path) -> None:
    """Only the service under load is judged."""
    rows = changed("capabilities", service="billing", allowed=["sys/seal"])
    assert found(tmp_path, "excess_capabilities", 0, rows).verdict == "inconclusive"


def test_leases_counted_too_late(tmp_path: Path) -> None:
    """A first count that was taken under load is no count of what was there before it."""
    rows = [row for row in samples() if row["probe"] != "postgres_roles" or row["t"] > ANCHOR + 5]
    assert found(tmp_path, "leases_left", 0, rows).verdict == "inconclusive"


def test_hot_loop_breaks_renewals(tmp_path: Path) -> None:
    """One client that renews twice a second breaks the bound."""
    finding = found(
        tmp_path, "renewals_per_client", 10, samples() + renewals(30, every=0.5, client="c1")
    )
    assert (finding.verdict, finding.observed) == ("fail", 20)


def test_new_login_for_each_renewal_is_no_way_out(tmp_path: Path) -> None:
    """Renewals under ever new tokens are shared among the clients that took leases."""
    rows = samples() + renewals(100, every=0.1)
    finding = found(tmp_path, "renewals_per_client", 10, rows)
    assert (finding.verdict, finding.observed) == ("fail", 25)


@given(
    st.lists(st.floats(0, 100, allow_nan=False), max_size=40).map(sorted),
    st.floats(0.1, 50, allow_nan=False),
)
def test_most_within_is_what_counting_finds(times: list[float], seconds: float) -> None:
    """The sliding count is the count of the fullest window that ends at one of the times."""
    slow = max(
        (sum(end - seconds < t <= end for t in times[: at + 1]) for at, end in enumerate(times)),
        default=0,
    )
    assert most_within(times, seconds) == slow
