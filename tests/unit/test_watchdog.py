"""The watchdog: when it has to undo, and that it does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import trustme
from fault_world import platform
from hypothesis import given
from hypothesis import strategies as st

from drills.errors import SetupError
from drills.recovery import recover
from drills.undo import Holder, Pending, UndoLog, lock_holder, only_drill
from drills.watchdog import DEAD, OVERDUE, Orders, Watchdog, revealed, wait_for_need
from infra.platform import Platform
from infra.waiting import wait_for

#: A runner in little: holds the lock, has a watchdog, and says when a fault stands.
RUNNER = """
import json, pathlib, sys, time
from drills.undo import Pending, UndoLog, only_drill
from drills.watchdog import Watchdog
from infra.platform import Platform
told = json.load(sys.stdin)
platform = Platform.model_validate(told["platform"])
run = pathlib.Path(told["run"])
with only_drill(platform.drills.state_dir), Watchdog(platform, run) as watchdog:
    watchdog.wait_until_watching()
    watchdog.limit(told["limit"])
    UndoLog(platform.drills.state_dir).add(
        Pending(run.name, "revoke-prefix", {"role": "orders"}, {"prefix": "database/creds/orders"})
    )
    print(watchdog._process.pid, flush=True)
    if told["end"] == "raise":
        raise SystemExit("as a harness that fails")
    while told["end"] == "stay":
        time.sleep(60)
    UndoLog(platform.drills.state_dir)._write([])
"""


@pytest.fixture
def shown(tmp_path: Path) -> Platform:
    """A platform with a CA that can be read; no server stands behind it."""
    return platform(tmp_path, trustme.CA().cert_pem.bytes().decode())


@contextmanager
def runner(
    shown: Platform, tmp_path: Path, *, end: str = "stay", limit: float = 60
) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """Lend a runner with a standing fault, and its watchdog."""
    run = tmp_path / "runs" / "a-run"
    run.mkdir(parents=True)
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    watchdog: psutil.Process | None = None
    try:
        told = {"platform": revealed(shown), "run": str(run), "limit": limit, "end": end}
        process.stdin.write(json.dumps(told))
        process.stdin.close()
        watchdog = psutil.Process(int(process.stdout.readline()))
        yield process, watchdog
    finally:
        for each in [process, watchdog]:
            if each is not None and (not isinstance(each, psutil.Process) or each.is_running()):
                each.kill()
        process.wait()
        process.stdout.close()


def pending(shown: Platform) -> list[Pending]:
    return UndoLog(shown.drills.state_dir).pending()


def undone(shown: Platform) -> None:
    wait_for(lambda: not pending(shown), "the watchdog undoing", seconds=90)


def gone(process: psutil.Process) -> None:
    wait_for(
        lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE,
        "the watchdog ending",
        seconds=90,
    )


def test_killed_runner_is_undone(shown: Platform, tmp_path: Path) -> None:
    """After SIGKILL of the runner the watchdog undoes, says so in the run folder, and ends."""
    with runner(shown, tmp_path) as (process, watchdog):
        assert len(pending(shown)) == 1
        process.kill()
        undone(shown)
        gone(watchdog)
    rows = [
        json.loads(line)
        for line in (tmp_path / "runs" / "a-run" / "events.jsonl").read_text().splitlines()
    ]
    assert [row["event"] for row in rows] == ["fault-undoing", "fault-undone", "run-ended"]
    assert rows[1]["verified"] is True
    assert rows[1]["by"] == "watchdog"
    assert DEAD in rows[2]["error"]


def test_stopped_runner_is_ended(shown: Platform, tmp_path: Path) -> None:
    """A runner that is stopped is overdue at its limit: it is killed, and its fault undone."""
    with runner(shown, tmp_path, limit=2) as (process, _watchdog):
        process.send_signal(signal.SIGSTOP)
        undone(shown)
        assert process.wait(timeout=60) == -signal.SIGKILL


def test_runner_that_fails_is_undone(shown: Platform, tmp_path: Path) -> None:
    """A runner that ends by an exception leaves its fault to the watchdog."""
    with runner(shown, tmp_path, end="raise") as (process, watchdog):
        undone(shown)
        assert process.wait(timeout=60) == 1
        gone(watchdog)


def test_watchdog_ends_with_its_runner(shown: Platform, tmp_path: Path) -> None:
    """A runner that is done sends it home, and nothing is written."""
    with runner(shown, tmp_path, end="done") as (process, watchdog):
        assert process.wait(timeout=60) == 0
        gone(watchdog)
    assert not (tmp_path / "runs" / "a-run" / "events.jsonl").exists()


def test_killed_watchdog_harms_no_runner(shown: Platform, tmp_path: Path) -> None:
    """A runner whose watchdog is gone notices, and ends in good order."""
    run = tmp_path / "runs" / "a-run"
    run.mkdir(parents=True)
    with Watchdog(shown, run) as watchdog:
        watchdog.wait_until_watching()
        assert watchdog.watches()
        assert watchdog._process is not None
        watchdog._process.kill()
        wait_for(lambda: not watchdog.watches(), "it ending", seconds=60)
        watchdog.limit(5)
        watchdog.limit(None)


def test_watchdog_survives_what_ends_its_runner(shown: Platform, tmp_path: Path) -> None:
    """Signals to everybody (Ctrl-C, a shutdown) leave the watchdog there until the runner is done;
    its arguments and environment hold no secret."""
    with runner(shown, tmp_path) as (process, watchdog):
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            watchdog.send_signal(sign)
        seen = " ".join(watchdog.cmdline()) + json.dumps(watchdog.environ())
        for secret in ("hvs.operator", "unseal-key-number", "password-of-the-observer"):
            assert secret not in seen
        process.kill()
        undone(shown)


def test_both_killed_leaves_it_to_recover(shown: Platform, tmp_path: Path) -> None:
    """With runner and watchdog dead the entry stands, and `drill recover` undoes it."""
    with runner(shown, tmp_path) as (process, watchdog):
        watchdog.kill()
        process.kill()
        process.wait()
        assert len(pending(shown)) == 1
    assert recover(shown, say=lambda _line: None) == []
    assert pending(shown) == []


def test_recover_waits_for_a_watchdog(shown: Platform, tmp_path: Path) -> None:
    """`drill recover` and the watchdog never undo at once: the second finds nothing left."""
    with runner(shown, tmp_path) as (process, _watchdog):
        process.kill()
        process.wait()
        assert recover(shown, say=lambda _line: None) == []
        assert pending(shown) == []


def test_recover_does_not_wait_for_a_drill(shown: Platform) -> None:
    """While a drill runs, `drill recover` is refused at once, and told who it is."""
    started = time.monotonic()
    with (
        only_drill(shown.drills.state_dir),
        pytest.raises(SetupError, match=f"a drill is running.*process {os.getpid()}"),
    ):
        recover(shown, say=lambda _line: None)
    assert time.monotonic() - started < 60


def test_holder_is_told_from_a_later_process(tmp_path: Path) -> None:
    """A pid that the kernel has given out again is not the holder's."""
    assert lock_holder(tmp_path) is None
    with only_drill(tmp_path, part="watchdog"):
        holder = lock_holder(tmp_path)
        assert holder is not None
        assert holder.part == "watchdog"
        assert holder.process() == psutil.Process()
        assert Holder(holder.pid, holder.created - 60, "drill").process() is None
    assert lock_holder(tmp_path) is None


def test_platform_survives_the_pipe(shown: Platform) -> None:
    """What goes through the pipe is the whole platform, secrets included."""
    assert Platform.model_validate(json.loads(json.dumps(revealed(shown)))) == shown


def need(*lines: object, close: bool = True) -> str | None:
    """What the watchdog concludes from these lines."""
    reader, writer = os.pipe()
    try:
        os.write(writer, b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        if close:
            os.close(writer)
        return wait_for_need(Orders(reader))
    finally:
        os.close(reader)
        if not close:
            os.close(writer)


LIMITS = st.lists(st.none() | st.floats(30, 1000), max_size=20)


@given(limits=LIMITS)
def test_no_limit_in_time_is_a_need(limits: list[float | None]) -> None:
    """As long as every limit is met, `done` ends the watch, and the end of the pipe is a death."""
    now = time.monotonic()
    told = [{"until": limit and now + limit} for limit in limits]
    assert need(*told, {"done": True}) is None
    assert need(*told) is DEAD


@given(limits=LIMITS)
def test_the_last_limit_counts(limits: list[float | None]) -> None:
    """A limit that has passed is a need, whatever was promised before."""
    now = time.monotonic()
    told = [{"until": limit and now + limit} for limit in limits]
    assert need(*told, {"until": now - 1}, close=False) is OVERDUE
