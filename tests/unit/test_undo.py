"""The undo log and the lock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from drills.errors import SetupError
from drills.undo import Pending, UndoLog, only_drill


def pending(node: str = "vault-1") -> Pending:
    return Pending("run-1", "node-kill", {"node": "leader"}, {"node": node})


def test_what_is_pending_survives_the_process(tmp_path: Path) -> None:
    """What was added is on disk: another object reads the same, in the same order."""
    log = UndoLog(tmp_path / "drills")
    log.add(pending("vault-1"))
    log.add(pending("vault-2"))
    assert UndoLog(tmp_path / "drills").pending() == [pending("vault-1"), pending("vault-2")]


def test_removed_entries_leave_no_file(tmp_path: Path) -> None:
    """Once all is undone there is no file."""
    log = UndoLog(tmp_path)
    log.add(pending())
    log.remove(pending())
    assert log.pending() == []
    assert not (tmp_path / "undo.json").exists()


def test_broken_file_is_one_line(tmp_path: Path) -> None:
    """A broken undo log is refused by name, not taken for an empty one."""
    (tmp_path / "undo.json").write_text("{")
    with pytest.raises(SetupError, match=r"undo\.json: can't be read"):
        UndoLog(tmp_path).pending()


def test_second_drill_is_refused(tmp_path: Path) -> None:
    """While one drill holds the stack another is refused, with the holder's pid."""
    refused = pytest.raises(SetupError, match="a drill is running")
    with only_drill(tmp_path), refused, only_drill(tmp_path):
        pass
    with only_drill(tmp_path):
        pass


def test_dead_holder_frees_the_lock(tmp_path: Path) -> None:
    """The lock of a killed drill is free at once."""
    code = (
        "import os, pathlib, signal, sys\n"
        "from drills.undo import only_drill\n"
        "with only_drill(pathlib.Path(sys.argv[1])):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    with only_drill(tmp_path):
        pass
