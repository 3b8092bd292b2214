"""Nothing that dies leaves a fault behind, on a real stack."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from live_stack import LiveStack

from drills.remote import stop_elsewhere
from drills.undo import UndoLog
from drills.vault import Vault
from infra.waiting import wait_for

pytestmark = pytest.mark.slow

DRILL = """
drill: long
title: The leader is dead for a minute
catches: nothing; a drill to test the harness with
load: {service: orders, users: 4, pools: 1, pool_size: 4}
phases: {warmup: 1s, baseline: 2s, fault: 60s, recovery: 3s}
faults:
  - node-kill: {node: leader}
  - role-ttl: {role: orders, ttl_seconds: 30, max_ttl_seconds: 40}
  - slow-ddl: {latency_ms: 50}
bounds:
  - unsealed_voters: {at_least: 3}
"""


@pytest.fixture
def runner(stack: LiveStack, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A drill whose three faults stand; it is undone in the end, whatever a test has found."""
    file = tmp_path / "long.yaml"
    file.write_text(DRILL)
    process = stack.start_drill("run", str(file))
    try:
        stack.wait_for_event(event="fault-injected", fault="slow-ddl")
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=90)
        stack.drill("recover")


def watchdog_of(runner: subprocess.Popen[str]) -> psutil.Process:
    """The runner's child that is the watchdog."""
    [found] = [
        child
        for child in psutil.Process(runner.pid).children()
        if child.cmdline()[-2:] == ["-m", "drills.watchdog"]
    ]
    return found


def ttl(stack: LiveStack) -> int:
    """The role's TTL as Vault has it."""
    vault = Vault(stack.platform())
    try:
        return int(vault.call("GET", "database/roles/orders")["data"]["default_ttl"])
    finally:
        vault.close()


def assert_whole(stack: LiveStack, *, seconds: float) -> None:
    """Every fault is undone within `seconds`."""
    vault = Vault(stack.platform())

    def whole() -> bool:
        state = vault.call("GET", "sys/storage/raft/autopilot/state")["data"]
        return (
            not UndoLog(stack.platform().drills.state_dir).pending()
            and all(vault.health(node) in {200, 429} for node in vault.nodes)
            and bool(state["healthy"])
            and len(state["voters"]) == 3
        )

    try:
        wait_for(whole, "a whole cluster", seconds=seconds)
    finally:
        vault.close()
    assert ttl(stack) == 60


def test_watchdog_undoes_after_the_runner(stack: LiveStack, runner: subprocess.Popen[str]) -> None:
    """After SIGKILL of the runner three healthy nodes are back without `drill recover`, the run
    is judged, and the watchdog has gone."""
    watchdog = watchdog_of(runner)
    runner.kill()
    runner.communicate()
    assert_whole(stack, seconds=30)
    wait_for(lambda: not watchdog.is_running(), "the watchdog ending", seconds=20)
    assert stack.verdict()["verdict"] == "inconclusive"
    assert "the runner died" in stack.verdict()["reason"]


def test_recover_undoes_after_both(stack: LiveStack, runner: subprocess.Popen[str]) -> None:
    """After SIGKILL of both, preflight refuses until `drill recover` has undone."""
    watchdog_of(runner).kill()
    runner.kill()
    runner.communicate()
    refused = stack.drill("run", "leader-kill")
    assert refused.returncode == 2
    assert "drill recover" in refused.stderr
    assert stack.drill("recover").returncode == 0
    assert_whole(stack, seconds=5)


def test_runner_undoes_after_its_watchdog(stack: LiveStack, runner: subprocess.Popen[str]) -> None:
    """A runner whose watchdog is killed lets no fault stand: it undoes, and ends inconclusive."""
    watchdog_of(runner).kill()
    started = time.monotonic()
    out, err = runner.communicate(timeout=90)
    assert runner.returncode == 3, out + err
    assert "the watchdog is gone" in err
    assert time.monotonic() - started < 60
    assert_whole(stack, seconds=5)


def test_stop_and_kill_switch(stack: LiveStack, runner: subprocess.Popen[str]) -> None:
    """`drill stop --hold` from another shell ends the drill, undone, and lets none start."""
    stopped = stack.drill("stop", "--hold")
    try:
        assert stopped.returncode == 0, stopped.stderr
        runner.communicate(timeout=10)
        assert runner.returncode == 130
        assert_whole(stack, seconds=5)
        refused = stack.drill("run", "leader-kill")
        assert refused.returncode == 2
        assert "drill stop --release" in refused.stderr
    finally:
        assert stack.drill("stop", "--release").returncode == 0


def test_stop_from_another_machine(
    stack: LiveStack, runner: subprocess.Popen[str], tmp_path: Path
) -> None:
    """Who shares no file with the runner, but reaches the stack, ends the drill, undone."""
    here = stack.platform()
    elsewhere = here.model_copy(
        update={"drills": here.drills.model_copy(update={"state_dir": tmp_path / "elsewhere"})}
    )
    assert stop_elsewhere(elsewhere, say=lambda _line: None)
    _out, err = runner.communicate(timeout=60)
    assert runner.returncode == 130, err
    assert "another machine" in err
    assert_whole(stack, seconds=5)
    assert not stop_elsewhere(elsewhere, say=lambda _line: None)
