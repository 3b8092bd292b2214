"""Every lease is traced to who asked for it, exactly or not at all."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from fault_world import platform
from hypothesis import given
from hypothesis import strategies as st
from test_judge_runs import samples, write_run

from drills.bounds import BOUNDS, evaluate
from drills.bounds.history import read
from drills.errors import VaultUnreachable
from drills.probes import leases
from drills.probes.leases import Issue, issue_in, missing

CREDS = "database/creds/"
WHOLE = Issue(1.0, "approle", "e1", ("orders",), "127.0.0.1")


def hashed(name: str) -> str:
    """What a Vault with a salt of its own makes of a name."""
    return "hmac-sha256:" + hmac.new(b"salt", name.encode(), hashlib.sha256).hexdigest()


def line(name: str, **changes: Any) -> bytes:
    """The answer to a request for a credential, as Vault 1.21 logs it."""
    entry: dict[str, Any] = {
        "type": "response",
        "time": "2026-11-21T12:00:00.5Z",
        "auth": {
            "display_name": "approle",
            "entity_id": "e1",
            "policies": ["default", "orders"],
            "policy_results": {"granting_policies": [{"type": ""}, {"name": "orders"}]},
        },
        "request": {"path": f"{CREDS}orders", "remote_address": "127.0.0.1"},
        "response": {"data": {"username": hashed(name)}},
    }
    return json.dumps({**entry, **changes}).encode()


def test_issue_is_read() -> None:
    """Requester, entity, the policy that granted it, and address are the log's."""
    found = issue_in(line("v-1"), CREDS)
    assert found is not None
    assert found[0] == hashed("v-1")
    assert found[1] == Issue(1795262400.5, "approle", "e1", ("orders",), "127.0.0.1")


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "request"},
        {"request": {"path": "sys/leases/lookup/database/creds/orders"}},
        {"response": None},
        {"response": {"data": {}}},
    ],
)
def test_other_lines_hold_no_issue(changes: dict[str, Any]) -> None:
    """A request, another path, an answer without a credential: none of them issued one."""
    assert issue_in(line("v-1", **changes), CREDS) is None


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_any_line_is_survived(before: bytes, after: bytes) -> None:
    """A torn or foreign line holds no issue, and is no error."""
    assert issue_in(before + CREDS.encode() + after, CREDS) is None


@given(
    requester=st.none() | st.just("approle"),
    entity=st.none() | st.just("e1"),
    policies=st.just(()) | st.just(("orders",)),
    address=st.none() | st.just("::1"),
    until=st.none() | st.just(1.0),
)
def test_traced_means_all_of_it(
    requester: str | None,
    entity: str | None,
    policies: tuple[str, ...],
    address: str | None,
    until: float | None,
) -> None:
    """A lease is traced when requester or entity, policy, address and end are all known."""
    gaps = missing(Issue(1.0, requester, entity, policies, address), until)
    assert (not gaps) == bool((requester or entity) and policies and address and until)


def judged(tmp_path: Path, changes: dict[str, Any] | None, *, drop: bool = False) -> Any:
    """The bound on a made-up run whose first lease is changed, or that has none."""
    rows = samples()
    if drop:
        rows = [row for row in rows if row["probe"] != "leases"]
    if changes:
        first = next(row for row in rows if row["probe"] == "leases")
        first.update(changes)
    bound = BOUNDS["untraced_leases"]
    history = read(write_run(tmp_path, measured=rows))
    return evaluate(bound, bound.params.model_validate({"at_most": 0}), history)


def test_traced_leases_pass(tmp_path: Path) -> None:
    """A run whose leases all have somebody who asked for them passes, and says who."""
    finding = judged(tmp_path, None)
    assert (finding.verdict, finding.observed) == ("pass", 0)
    assert "4 leases" in finding.detail
    assert "approle" in finding.detail


@pytest.mark.parametrize("gap", ["request", "requester", "policy", "address", "ttl"])
def test_one_gap_fails(tmp_path: Path, gap: str) -> None:
    """One lease that can't be traced breaks the bound, which names what is missing."""
    finding = judged(tmp_path, {"missing": [gap]})
    assert (finding.verdict, finding.observed) == ("fail", 1)
    assert f"missing {gap} (1)" in finding.detail


def test_no_lease_seen_is_unknown(tmp_path: Path) -> None:
    """A run in which nobody looked proves nothing."""
    assert judged(tmp_path, None, drop=True).verdict == "inconclusive"
    assert judged(tmp_path / "b", {"missing": None}).verdict == "inconclusive"


class _Database:
    """Two roles that Vault made, and one that somebody else has made look like them."""

    def __init__(self, _platform: object) -> None:
        self.names = ["v-1", "v-2", "v-forged"]

    def dynamic_role_ends(self) -> list[tuple[str, float | None]]:
        return [(name, 1795262465.5) for name in self.names]

    def close(self) -> None:
        pass


class _Vault:
    """Answers what the probe asks, once it is up."""

    def __init__(self) -> None:
        self.up = True

    def call(self, _method: str, path: str, *, json: Any = None, **_more: Any) -> dict[str, Any]:
        if not self.up:
            raise VaultUnreachable("down")
        if path == "sys/audit":
            options = {"file_path": "/anywhere/audit-1.log"}
            return {"data": {"other/": {}, "file-1/": {"options": options}}}
        assert path == "sys/audit-hash/file-1"
        return {"data": {"hash": hashed(json["input"])}}


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A probe on a log that was there before, and what it has told."""
    monkeypatch.setattr(leases, "Database", _Database)
    (tmp_path / "audit-1.log").write_bytes(line("v-1") + b"\n")
    vault, rows, failures = _Vault(), [], []
    probe = leases.Leases(
        platform(tmp_path),
        vault,  # type: ignore[arg-type]
        lambda _probe, **fields: rows.append(fields),
        lambda *told: failures.append(told),
    )
    return {
        "probe": probe,
        "vault": vault,
        "rows": rows,
        "failures": failures,
        "log": tmp_path / "audit-1.log",
    }


def test_probe_traces_exactly(told: dict[str, Any]) -> None:
    """Issues from before and during the run are matched by Vault's HMAC; a forged role is not."""
    told["probe"].look()
    with told["log"].open("ab") as log:
        log.write(line("v-2") + b"\n")
    told["probe"].close()
    assert {row["username"]: row["missing"] for row in told["rows"]} == {
        "v-1": [],
        "v-2": [],
        "v-forged": ["request"],
    }
    assert {row["ttl_seconds"] for row in told["rows"]} == {60.0, None}


def test_probe_bears_an_outage(told: dict[str, Any]) -> None:
    """While Vault is down the probe looks on; what it could not ask then it asks in the end."""
    told["vault"].up = False
    told["probe"].look()
    told["vault"].up = True
    told["probe"].close()
    assert len(told["rows"]) == 3
    assert told["failures"] == []


def test_probe_that_can_not_match_says_so(told: dict[str, Any]) -> None:
    """Without Vault's HMACs nothing is told of any lease: the bound is inconclusive, not broken."""
    told["probe"].look()
    told["probe"]._hash.clear()
    told["vault"].up = False
    told["probe"].close()
    assert told["rows"] == []
    assert "can't be matched" in told["failures"][0][1]
