"""Made-up runs for the tests of judge, bounds and reports, and that they are what they claim."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from drills.definition import find_drill
from drills.record import RunFolder

PHASES = {"warmup": (1.0, 11.0), "baseline": (11.0, 26.0), "fault": (26.0, 28.5)}
PHASES["recovery"] = (28.5, 48.5)
ANCHOR = 5000.0
FAULT = 26.2


def run_json(drill: str = "forced-expiry", pool: str = "lease") -> dict[str, Any]:
    """run.json of a made-up run."""
    return {
        "run": f"20261121t100000z-{drill}",
        "drill": find_drill(drill, known_faults={"revoke-prefix", "node-kill"}).model_dump(),
        "stack": "dev",
        "pool": pool,
        "started": "2026-11-21T10:00:00Z",
        "anchor": {"monotonic": ANCHOR, "unix": 1795255200.0},
        "versions": {"vault": "1.21.0", "postgres": "18.4", "pulumi": "3.259.0"},
        "platform": {
            "service": "orders",
            "role": "orders",
            "default_ttl_seconds": 60,
            "max_ttl_seconds": 300,
            "nodes": ["vault-1", "vault-2", "vault-3"],
            "postgres": "127.0.0.1:5432",
        },
    }


def events(outcome: str = "completed") -> list[dict[str, Any]]:
    """The events of a run that went as planned."""
    rows: list[tuple[float, dict[str, Any]]] = [(0.0, {"event": "run-started"})]
    rows.append((0.5, {"event": "load-started"}))
    for name, (start, end) in PHASES.items():
        rows.append((start, {"event": "phase-started", "phase": name}))
        if name == "fault":
            params = {"role": "orders"}
            fault = {"fault": "revoke-prefix"}
            rows.append((26.1, {"event": "fault-injecting", **fault, "params": params}))
            rows.append((FAULT, {"event": "fault-injected", **fault}))
            rows.append((28.2, {"event": "fault-undoing", **fault}))
            undone = {"verified": True, "problems": []}
            rows.append((28.3, {"event": "fault-undone", **fault, **undone}))
        rows.append((end, {"event": "phase-ended", "phase": name}))
    rows.append((49.0, {"event": "load-ended", "exit": 0}))
    rows.append((52.0, {"event": "run-ended", "outcome": outcome}))
    return [{"t": ANCHOR + t, **row} for t, row in rows]


def requests(*, broken: bool = False, rate: int = 20, seed: int = 1) -> list[dict[str, Any]]:
    """A steady load; after the fault one failure, or with `broken` almost nothing else."""
    chance = random.Random(seed)  # noqa: S311  # made-up load, no secret
    rows = []
    for index in range(int(47.5 * rate)):
        t = 1.0 + index / rate
        took = 0.004 + chance.expovariate(1 / 0.002)
        if FAULT < t < FAULT + 0.3:
            took *= 12
        ok = chance.random() > 0.93 if broken and t > FAULT else not FAULT < t <= FAULT + 1 / rate
        rows.append(
            {
                "t": ANCHOR + t,
                "s": took,
                "op": "GET /orders" if index % 20 else "newcomer",
                "ok": ok,
                "error": None if ok else "InvalidPassword",
                "status": 200 if ok else 500,
            }
        )
    return rows


def samples() -> list[dict[str, Any]]:
    """What the probes see of a revocation that did all it should."""
    rows: list[tuple[float, dict[str, Any]]] = []
    for step in range(4 * 49):
        for node in ("vault-1", "vault-2", "vault-3"):
            active = node == ("vault-1" if step < 4 * 40 else "vault-3")
            look = {"reachable": True, "status": 200 if active else 429, "sealed": False}
            rows.append(
                (
                    step / 4,
                    {"probe": "node_health", "node": node, "active": active, **look},
                )
            )
    for second in range(49):
        gone = FAULT < second < FAULT + 1
        for node in ("vault-1", "vault-2", "vault-3"):
            leases = {"leases": 12 if node == "vault-1" else None, "irrevocable_leases": None}
            if node == "vault-1":
                leases["irrevocable_leases"] = 0
            rows.append((second + 0.1, {"probe": "telemetry", "node": node, **leases}))
        roles = {"roles": 1 if gone else 4, "leases": 2 if gone else 4}
        rows.append((second + 0.2, {"probe": "postgres_roles", **roles}))
        sessions = {"sessions": 3 if gone else 80, "orphan_sessions": 0}
        rows.append((second + 0.3, {"probe": "postgres_sessions", **sessions}))
        rows.append((second + 0.4, {"probe": "static_sessions", "sessions": 0}))
    for pool in range(4):
        who = {"role": "orders", "client": f"c{pool}", "entity": "orders", "ok": True}
        rows.append((0.6 + pool / 10, {"probe": "audit", "op": "issue", **who}))
        rows.append((FAULT + 0.05 + pool / 50, {"probe": "audit", "op": "issue", **who}))
        rows.append((15.0 + pool * 1.3, {"probe": "audit", "op": "renew", **who}))
    canary = {"role": "orders", "client": "op", "entity": "drills", "ok": True, "operator": True}
    rows.append((FAULT - 0.1, {"probe": "audit", "op": "issue", **canary}))
    proof = {"revoked_roles": 4, "roles_left": 0, "sessions_left": 0, "old_login": "refused"}
    rows.append((FAULT + 0.2, {"probe": "revocation", **proof}))
    rows.append((49.5, {"probe": "revocation", **proof}))
    rows.append((20.0, {"probe": "capabilities", "service": "orders", "asked": 16, "allowed": []}))
    rows.append((51.5, {"probe": "effects", "written": 240, "duplicates": 0}))
    settled = {"roles": 0, "leases": 0, "orphan_roles": 0, "healthy_voters": 3}
    rows.append((50.0, {"probe": "settled", **settled}))
    asked = {"requester": "approle", "entity": "e1", "policies": ["orders"], "address": "::1"}
    for pool in range(4):
        named = {"username": f"v-approle-orders-{pool}", "ttl_seconds": 60.0, **asked}
        rows.append((50.5, {"probe": "leases", "missing": [], **named}))
    rows.append((51.0, {"probe": "secrets", "handled": 23, "hits": []}))
    return [{"t": round(ANCHOR + t, 6), **row} for t, row in rows]


def write_run(
    root: Path,
    *,
    info: dict[str, Any] | None = None,
    happened: list[dict[str, Any]] | None = None,
    measured: list[dict[str, Any]] | None = None,
    asked: list[dict[str, Any]] | None = None,
) -> Path:
    """Write a run folder; what is not given is that of a run that passes."""
    info = run_json() if info is None else info
    root.mkdir(parents=True, exist_ok=True)
    path = root / info["run"]
    path.mkdir()
    with RunFolder(path, redact=str) as folder:
        folder.write_json("run.json", info)
    for name, rows in (
        ("events.jsonl", events() if happened is None else happened),
        ("samples.jsonl", samples() if measured is None else measured),
        ("requests.jsonl", requests() if asked is None else asked),
    ):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (path / name).write_text(lines, encoding="utf-8")
    return path


def test_made_up_run_passes(tmp_path: Path) -> None:
    """The made-up run, from which the other tests take evidence away, passes."""
    from drills.judge import judge
    from drills.record import read

    verdict = judge(read(write_run(tmp_path)))
    assert verdict.verdict == "pass", verdict
    assert {bound.verdict for bound in verdict.bounds} == {"pass"}
