"""Several drills in turn; stopping, and holding them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fault_world import platform
from hypothesis import given
from hypothesis import strategies as st

from drills import hold, preflight, series
from drills.definition import catalog
from drills.errors import SetupError
from drills.stop import stop
from drills.undo import Pending, UndoLog, lock_holder
from infra.waiting import wait_for

DRILLS = catalog()[:4]


class _Verdict:
    def __init__(self, exit_: int) -> None:
        self.exit, self.verdict, self.reason, self.bounds = exit_, str(exit_), "", ()


def run(*exits: int | None) -> tuple[list[series.Row], list[str]]:
    """Run one drill for each exit status; None is a refusal."""
    said: list[str] = []
    coming = iter(exits)

    def execute(_drill: Any) -> Any:
        exit_ = next(coming)
        if exit_ is None:
            raise SetupError("the cluster is not whole")
        return _Verdict(exit_), Path("runs/x")

    return series.run_all(DRILLS[: len(exits)], execute, say=said.append), said


@given(st.lists(st.sampled_from([0, 3, 99, 4, 5, 130]), min_size=1))
def test_worst_is_one_of_them_and_passes_only_if_all_do(exits: list[int]) -> None:
    """The series passes only if every drill does, and ends with a status that one of them had."""
    assert series.worst(exits) in exits
    assert (series.worst(exits) == 0) == (set(exits) == {0})


def test_order_of_the_worst() -> None:
    """An undo that failed is worse than an abort, and that than a broken bound."""
    assert series.worst([0, 3, 99, 4, 5]) == 5
    assert series.worst([0, 3, 99, 4]) == 4
    assert series.worst([0, 3, 99]) == 99
    assert series.worst([0, 3]) == 3


def test_failures_do_not_end_the_series() -> None:
    """A broken bound or a refusal is a row, and the next drill runs."""
    rows, said = run(0, 99, None, 0)
    assert [row.exit for row in rows] == [0, 99, 3, 0]
    assert rows[2].verdict == "refused"
    assert "not whole" in rows[2].reason
    assert len(said) == 4


@pytest.mark.parametrize("exit_", [5, 130])
def test_series_ends_at_what_must_be_looked_at(exit_: int) -> None:
    """After an undo that failed, or Ctrl-C, no further drill runs."""
    rows, _ = run(0, exit_, 0)
    assert [row.exit for row in rows] == [0, exit_]


def test_first_refusal_is_the_callers() -> None:
    """A stack that refuses the first drill is bad set-up, exit 2."""
    with pytest.raises(SetupError, match="not whole"):
        run(None, 0)


def test_tags_choose() -> None:
    """A tag chooses the drills that have it; an unknown one is refused with those there are."""
    chosen = series.choose(catalog(), "release")
    assert chosen
    assert all("release" in drill.tags for drill in chosen)
    with pytest.raises(SetupError, match=r"--tag nope: .*monthly.*release"):
        series.choose(catalog(), "nope")


def test_hold_refuses_until_released(tmp_path: Path) -> None:
    """While the kill switch is on preflight refuses and says how to take it off."""
    shown = platform(tmp_path)
    state_dir = shown.drills.state_dir
    preflight.check_hold(shown)
    hold.put_on(state_dir)
    hold.put_on(state_dir)
    with pytest.raises(SetupError, match=r"kill switch .* is on .*drill stop --release"):
        preflight.check_hold(shown)
    assert hold.take_off(state_dir)
    assert not hold.take_off(state_dir)
    preflight.check_hold(shown)


def test_stop_asks_the_holder_and_waits(tmp_path: Path) -> None:
    """`drill stop` sends SIGTERM to the drill that holds the lock, and waits for its end."""
    code = (
        "import pathlib, signal, sys\n"
        "from drills.undo import only_drill\n"
        "with only_drill(pathlib.Path(sys.argv[1])):\n"
        "    signal.sigwait({signal.SIGTERM})\n"
    )
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # the child inherits it
    try:
        drill = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    said: list[str] = []
    try:
        wait_for(lambda: (lock_holder(tmp_path) or _NOBODY).pid == drill.pid, "it", seconds=10)
        assert stop(tmp_path, say=said.append, seconds=10)
        assert drill.wait(timeout=5) == 0
    finally:
        drill.kill()
        drill.wait()
    assert str(drill.pid) in said[0]


class _NOBODY:
    pid = 0


def test_stop_never_kills_a_stranger(tmp_path: Path) -> None:
    """A lock that nobody holds any more is left alone, whatever pid is written in it."""
    (tmp_path / "lock").write_text(f'{{"pid": {os.getpid()}, "created": 0, "part": "drill"}}')
    said: list[str] = []
    assert stop(tmp_path, say=said.append)
    assert said == ["no drill is running"]


def test_stop_tells_what_was_left(tmp_path: Path) -> None:
    """What a dead run left behind is not called undone."""
    UndoLog(tmp_path).add(Pending("r", "node-kill", {}, {"node": "vault-1"}))
    assert not stop(tmp_path, say=lambda _line: None)
