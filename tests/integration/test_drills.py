"""The drills, for real: a good client passes, a bad one fails, and nothing is left standing."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from live_stack import LiveStack

from drills.undo import UndoLog
from drills.vault import Vault
from infra.waiting import wait_for

pytestmark = pytest.mark.slow

QUICK = """
drill: quick
title: The leader is killed, quickly
catches: nothing; a drill to test the harness with
load: {service: orders, users: 4, pools: 1, pool_size: 4}
phases: {warmup: 2s, baseline: 3s, fault: FAULT, recovery: 4s}
faults:
  - node-kill: {node: leader}
bounds:
  - unsealed_voters: {at_least: 3}
"""


@pytest.fixture
def quick(tmp_path: Path) -> str:
    file = tmp_path / "quick.yaml"
    file.write_text(QUICK.replace("FAULT", "60s"))
    return str(file)


def healthy(stack: LiveStack) -> bool:
    vault = Vault(stack.platform())
    try:
        state = vault.call("GET", "sys/storage/raft/autopilot/state")["data"]
        unsealed = all(vault.health(node) in {200, 429} for node in vault.nodes)
        return unsealed and bool(state["healthy"]) and len(state["voters"]) == 3
    finally:
        vault.close()


def bounds(stack: LiveStack) -> dict[str, str]:
    return {each["name"]: each["verdict"] for each in stack.verdict()["bounds"]}


def test_forced_expiry_passes_with_the_reference_pool(stack: LiveStack) -> None:
    """The reference pool keeps every bound of forced-expiry, and the revocation is proved."""
    done = stack.drill("run", "forced-expiry")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(bounds(stack).values()) == {"pass"}
    folder = stack.root / "runs" / "latest"
    report = (folder / "report.html").read_text()
    assert len(report.encode()) < 2_000_000
    assert "http://" not in report.replace("http://www.w3.org", "")
    assert "https://" not in report
    assert (folder / "junit.xml").read_text().startswith("<?xml")
    assert UndoLog(stack.platform().drills.state_dir).pending() == []
    before = (folder / "verdict.json").read_bytes()
    assert stack.drill("judge", "latest").returncode == 0
    assert (folder / "verdict.json").read_bytes() == before


def test_forced_expiry_fails_with_the_static_pool(stack: LiveStack) -> None:
    """The same drill ends with 99 for fixed credentials, and names the bounds that broke."""
    done = stack.drill("run", "forced-expiry", "--pool", "static")
    assert done.returncode == 99, done.stdout + done.stderr
    broken = {name for name, verdict in bounds(stack).items() if verdict == "fail"}
    assert {"failed_ratio", "recovery_seconds"} <= broken
    # the platform did its part: it is the client that failed
    assert bounds(stack)["sessions_on_revoked_roles"] == "pass"
    assert bounds(stack)["old_login_accepted"] == "pass"
    assert "failed_ratio" in done.stdout


def test_leader_kill_loses_no_query(stack: LiveStack) -> None:
    """While the leader is dead every query succeeds, and afterwards three nodes vote again."""
    done = stack.drill("run", "leader-kill", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["verdict"] == "pass"
    assert healthy(stack)


def test_killed_runner_is_recovered(stack: LiveStack, quick: str) -> None:
    """After SIGKILL of the runner in the fault phase, `drill recover` gives three healthy nodes."""
    runner = stack.start_drill("run", quick)
    stack.wait_for_event(event="fault-injected")
    runner.kill()
    runner.communicate()
    recovered = stack.drill("recover")
    assert recovered.returncode == 0, recovered.stderr
    assert healthy(stack)
    assert UndoLog(stack.platform().drills.state_dir).pending() == []
    wait_for(
        lambda: not [p for p in stack.processes() if "locust" in " ".join(p.cmdline())],
        "the load dying with its runner",
        seconds=20,
    )


@pytest.mark.parametrize("phase", ["warmup", "baseline", "fault", "recovery"])
def test_interrupt_in_any_phase_undoes(stack: LiveStack, tmp_path: Path, phase: str) -> None:
    """Ctrl-C in any phase undoes the fault and ends with 130."""
    file = tmp_path / "quick.yaml"
    file.write_text(QUICK.replace("FAULT", "3s"))
    runner = stack.start_drill("run", str(file))
    stack.wait_for_event(event="phase-started", phase=phase)
    runner.send_signal(signal.SIGINT)
    out, err = runner.communicate(timeout=120)
    assert runner.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert healthy(stack)
    assert stack.verdict()["verdict"] == "interrupted"


def test_two_drills_at_once_are_refused(stack: LiveStack, quick: str) -> None:
    """While one drill runs a second one is refused in one line, and the first goes on."""
    runner = stack.start_drill("run", quick)
    stack.wait_for_event(event="phase-started", phase="baseline")
    refused = stack.drill("run", "forced-expiry")
    assert refused.returncode == 2
    assert "a drill is running on this stack already" in refused.stderr
    runner.send_signal(signal.SIGINT)
    runner.communicate(timeout=120)
    assert runner.returncode == 130


def test_stack_that_does_not_allow_drills(stack: LiveStack) -> None:
    """A stack without drills:allowed is refused by file and key, exit 2."""
    stack.configure(allowed=False)
    try:
        stack.up()
        refused = stack.drill("run", "forced-expiry")
    finally:
        stack.configure(allowed=True)
        stack.up()
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "drills:allowed" in refused.stderr
    assert "Pulumi.dev.yaml" in refused.stderr
