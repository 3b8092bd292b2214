"""Counting in Vault's audit log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from drills.probes.audit import LogTail, parse


def entry(path: str, **more: Any) -> bytes:
    row: dict[str, Any] = {
        "time": "2026-11-21T10:00:00.5Z",
        "type": "response",
        "auth": {
            "accessor": "hmac-sha256:0123456789abcdef0123",
            "entity_id": "e-1",
            "policies": ["default", "orders"],
        },
        "request": {"path": path},
        "response": {"secret": {"lease_id": "database/creds/orders/abcdefghijklmnopqrstuvwx"}},
    }
    return json.dumps({**row, **more}).encode()


def test_issue_is_counted_with_its_client() -> None:
    """A credential that was read is an issue of its role, by the token that read it."""
    sample = parse(entry("database/creds/orders"), "database")
    assert sample is not None
    assert (sample["op"], sample["role"], sample["ok"]) == ("issue", "orders", True)
    assert sample["client"] == "0123456789abcdef"
    assert sample["unix"] == 1795255200.5


def test_renewal_takes_role_from_its_lease() -> None:
    """A renewal's role is read off the lease in the response; the lease id itself is not kept."""
    sample = parse(entry("sys/leases/renew"), "database")
    assert sample is not None
    assert (sample["op"], sample["role"]) == ("renew", "orders")
    assert "abcdefghijklmnopqrstuvwx" not in json.dumps(sample)


def test_refused_request_is_not_ok() -> None:
    """A request that Vault refused is counted as refused."""
    sample = parse(entry("database/creds/orders", error="permission denied"), "database")
    assert sample is not None
    assert sample["ok"] is False


def test_requests_and_foreign_paths_are_not_counted() -> None:
    """Only answers count, and only those that issue, renew, revoke or log in."""
    assert parse(entry("database/creds/orders", type="request"), "database") is None
    assert parse(entry("secret/data/creds/orders"), "database") is None
    assert parse(entry("database/roles/orders"), "database") is None


@given(st.binary(max_size=200))
def test_any_line_is_survived(line: bytes) -> None:
    """A torn or foreign line holds no sample, and is no error."""
    assert parse(line, "database") is None


def test_tail_yields_whole_lines_across_rotation(tmp_path: Path) -> None:
    """The tail begins at the end, waits for whole lines, and follows a rotated file."""
    log = tmp_path / "audit.log"
    log.write_text("old\n")
    tail = LogTail(log)
    with log.open("a") as file:
        file.write("one\ntw")
        file.flush()
        assert list(tail.lines()) == [b"one"]
        file.write("o\n")
    assert list(tail.lines()) == [b"two"]
    log.rename(tmp_path / "audit.log.1")
    log.write_text("three\n")
    assert list(tail.lines()) == [b"three"]
    tail.close()
