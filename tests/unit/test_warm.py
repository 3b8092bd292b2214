"""Phases begin once the load is warm."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.errors import SetupError
from drills.warm import wait_until_warm


def test_first_answer_ends_the_wait(tmp_path: Path) -> None:
    """A request that failed, and a torn line, are no sign of warmth; one that was answered is."""
    log = tmp_path / "requests.jsonl"
    looks = []

    def look() -> None:
        looks.append(1)
        line = {1: '{"ok": false}\n', 2: '{"ok": tr', 3: 'ue}\n{"t"'}.get(len(looks), "")
        with log.open("a") as file:
            file.write(line)

    wait_until_warm(log, look, seconds=30)
    assert len(looks) == 3


def test_cold_load_is_one_line(tmp_path: Path) -> None:
    """A load that nobody answers is refused, with where to look."""
    with pytest.raises(SetupError, match=r"no request was answered.*load\.log"):
        wait_until_warm(tmp_path / "requests.jsonl", lambda: None, seconds=0.2)


def test_what_ends_the_run_ends_the_wait(tmp_path: Path) -> None:
    """Ctrl-C, or a load that is gone, is not waited out."""

    def look() -> None:
        raise SetupError("the load is gone")

    with pytest.raises(SetupError, match="the load is gone"):
        wait_until_warm(tmp_path / "requests.jsonl", look, seconds=60)
