"""A storm drill on a real stack. Those of the catalog are of 150 clients, and for a machine that
does nothing else; this one is of 40, and of a policy that must fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from live_stack import LiveStack

from drills.undo import UndoLog

pytestmark = pytest.mark.slow

# A LifetimeWatcher renews every 14 s of a lease of 20 s and pauses 10 s when that fails: longer
# than what is left. The clients start within 14 s, so that an outage of 6 s finds some of them at
# it whenever it comes, on a busy machine as well.
OUTAGE = """
drill: outage
title: A small fleet can't reach Vault when it wants to renew
catches: nothing; a drill to test the harness with
load: {fleet: 40, policy: lease-aware, ttl: 20s, max_ttl: 10m, ramp: 14s}
phases: {warmup: 0s, baseline: 2s, fault: 6s, recovery: 10s}
faults:
  - vault-reset: {nodes: all}
bounds:
  - lost_leases: {at_most: 0}
  - issues_peak: {at_most: 100}
  - leaked_secrets: {at_most: 0}
"""


def test_a_pause_longer_than_the_lease_fails(stack: LiveStack, tmp_path: Path) -> None:
    """Under lifetime-watcher leases are lost in the outage, and the role's TTLs are put back."""
    file = tmp_path / "outage.yaml"
    file.write_text(OUTAGE)
    role = "/v1/database/roles/orders"
    before = stack.provisioner().adapter.get(role)["data"]
    done = stack.drill("run", str(file), "--policy", "lifetime-watcher", "--json")
    assert done.returncode == 99, done.stdout + done.stderr
    verdicts = {each["name"]: each["verdict"] for each in json.loads(done.stdout)["bounds"]}
    assert verdicts["lost_leases"] == "fail"
    assert verdicts["leaked_secrets"] == "pass"
    assert json.loads(done.stdout)["pool"] == "none (fleet, policy lifetime-watcher)"
    counts = json.loads((stack.root / "runs" / "latest" / "fleet.json").read_text())
    assert (counts["clients"], counts["ttl_seconds"]) == (40, 20)
    after = stack.provisioner().adapter.get(role)["data"]
    assert {key: after[key] for key in ("default_ttl", "max_ttl")} == {
        key: before[key] for key in ("default_ttl", "max_ttl")
    }
    assert UndoLog(stack.platform().drills.state_dir).pending() == []


def test_a_policy_that_does_not_exist(stack: LiveStack) -> None:
    """It is refused in a line, exit 2."""
    done = stack.drill("run", "storm-after-outage", "--policy", "nope")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
