"""`who`, `drift` and `leases` answer from the log alone, and each request counts once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from audit_lines import line
from hypothesis import given
from hypothesis import strategies as st

from drills.audit import drift, leases, since, who
from drills.audit.acl import Rule
from drills.audit.entries import Entry, fragment, parse
from drills.audit.names import Names


def entry(path: str, **more: Any) -> Entry:
    """Return a line's entry."""
    found = parse(line(path, **more))
    assert found is not None
    return found


def ask(*given: Entry, pattern: str = "*", **more: Any) -> list[who.Row]:
    """Return the rows about a pattern."""
    fits = who.PathMatch(pattern)
    return who.find(given, lambda each: fits(each.path), Names(), **more)


def test_a_request_counts_once() -> None:
    """Its request's line, its answer's, and both in a second device's log are one request."""
    pair = [entry("a", kind="request"), entry("a")]
    (row,) = ask(*pair, *pair)
    assert (row.asked.outcome, row.count) == ("ok", 1)


def test_a_request_without_answer_is_told() -> None:
    """What was asked and never answered is not lost: it may have been done."""
    (row,) = ask(entry("a", kind="request"))
    assert row.asked.outcome == "no answer"


def test_who_names_service_address_and_policy() -> None:
    """A row says who asked, from where, under which policy, and how it ended."""
    good = entry("database/creds/orders", granting=("orders",), request_id="1")
    bad = entry(
        "database/creds/orders",
        service="billing",
        address="10.9.9.9",
        error="1 error occurred:\n\t* permission denied\n\n",
        request_id="2",
    )
    rows = ask(good, bad, pattern="database/creds/+")
    told = [(r.asked.service, r.asked.address, r.asked.policy, r.asked.outcome) for r in rows]
    assert told == [("orders", "10.0.0.1", "orders", "ok"), ("billing", "10.9.9.9", "-", "denied")]


def test_without_granting_policies_all_of_the_tokens_are_named() -> None:
    """An older Vault does not say which policy granted: those of the token are, without default."""
    (row,) = ask(entry("a", policies=("default", "x", "y")))
    assert row.asked.policy == "x,y"


def test_only_the_time_asked_for_counts() -> None:
    """`since` is included, `until` is not."""
    times = ("09:59:59.9", "10:00:00", "10:00:59.999", "10:01:00")
    rows = ask(
        *(entry("a", at=f"2026-11-21T{time}Z", request_id=time) for time in times),
        since=datetime(2026, 11, 21, 10, 0, tzinfo=UTC),
        until=datetime(2026, 11, 21, 10, 1, tzinfo=UTC),
    )
    assert [row.first[11:] for row in rows] == ["10:00:00Z", "10:00:59.999Z"]


def test_grouped_rows_keep_first_last_and_count() -> None:
    """Requests that differ in nothing but time are one row, the latest used comes first."""
    rows = who.grouped(
        ask(
            entry("a", at="2026-11-21T10:00:00Z", request_id="1"),
            entry("b", at="2026-11-21T11:00:00Z", request_id="2"),
            entry("a", at="2026-11-21T12:00:00Z", request_id="3"),
        )
    )
    assert [(row.asked.path, row.first[11:13], row.last[11:13], row.count) for row in rows] == [
        ("a", "10", "12", 2),
        ("b", "11", "11", 1),
    ]


@given(st.text(min_size=1, max_size=20))
def test_the_fragment_is_in_every_line_about_the_path(path: str) -> None:
    """What lines are chosen by before they are decoded is in each line that is meant."""
    assert fragment(path) in line(path)


def rule(path: str, *rights: str, policy: str = "orders") -> Rule:
    """Return a rule."""
    return Rule(policy, path, frozenset(rights))


def test_drift_tells_what_nobody_used() -> None:
    """Of a path's capabilities those are told that no request used; a denied one uses none."""
    rules = [rule("a/*", "read", "list"), rule("b", "update"), rule("c", "deny")]
    used = drift.last_uses(
        [entry("a/x"), entry("b", operation="update", error="permission denied")], rules
    )
    rows = drift.unused(rules, used)
    assert [(row.path, row.capabilities, row.last_used) for row in rows] == [
        ("a/*", ("list",), None),
        ("b", ("update",), None),
    ]


def test_drift_tells_since_when() -> None:
    """What was used before the time asked for, and not since, is told with its last use."""
    rules = [rule("a", "read")]
    used = drift.last_uses([entry("a", at="2026-11-01T00:00:00Z")], rules)
    (row,) = drift.unused(rules, used, since=datetime(2026, 11, 2, tzinfo=UTC))
    assert row.last_used == "2026-11-01T00:00:00Z"
    assert drift.unused(rules, used) == []


def test_a_use_counts_for_the_policy_that_granted_it() -> None:
    """Of two policies that grant a path, the one that Vault says granted it was used."""
    rules = [rule("a", "read"), rule("a", "read", policy="spare")]
    both = ("orders", "spare")
    used = drift.last_uses([entry("a", policies=both, granting=("orders",))], rules)
    assert [row.policy for row in drift.unused(rules, used)] == ["spare"]
    assert drift.unused(rules, drift.last_uses([entry("a", policies=both)], rules)) == []


def test_a_lease_belongs_to_who_was_given_it() -> None:
    """The first answer with a lease names its owner; who renews or looks at it does not."""
    lease = "database/creds/orders/abcdefghijklmnopqrstuvwx"
    owned = leases.owners(
        [
            entry(
                "sys/leases/renew", service="operator", lease_id=lease, at="2026-11-21T09:00:00Z"
            ),
            entry("database/creds/orders", lease_id=lease, address="10.1.1.1"),
        ],
        Names(),
    )
    assert (owned[lease].service, owned[lease].address) == ("orders", "10.1.1.1")


def test_a_lease_is_told_without_its_id() -> None:
    """Who has a lease id can revoke the lease: it is shown only when asked for."""
    lease = leases.Lease("database/creds/orders/abcdef", None, 5, 55, None)
    assert "abcdef" not in str(lease.as_json(show_id=False))
    assert lease.as_json(show_id=True)["lease"] == lease.id


NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("36h", "2026-11-20T00:00:00"),
        ("7d", "2026-11-14T12:00:00"),
        ("2026-11-21", "2026-11-21T00:00:00"),
        ("2026-11-21T10:00+02:00", "2026-11-21T08:00:00"),
    ],
)
def test_times_as_people_write_them(text: str, told: str) -> None:
    """A time is an age, a day or a moment; without a zone it is UTC, as the log is."""
    assert since.text(since.parse(text, now=NOW)) == told


@given(st.text(max_size=12))
def test_any_other_time_is_one_line(text: str) -> None:
    """What is no time is said to be none, with what to write instead."""
    try:
        since.parse(text, now=NOW)
    except ValueError as error:
        assert "write 36h" in str(error)  # noqa: PT017 - most texts are none, some are
