"""The kill switch: a file in the drills' state folder. While it is there no drill starts.

Anybody may also make or delete the file by hand, which is the point of a file.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from drills.record import write_atomically


def _file(state_dir: Path) -> Path:
    return state_dir / "hold"


def reason(state_dir: Path) -> str | None:
    """Return why drills are held, in one line; None when they are not."""
    try:
        text = _file(state_dir).read_text(errors="replace")
    except FileNotFoundError:
        return None
    return " ".join(text.split())[:200] or "no reason given"


def put_on(state_dir: Path) -> None:
    """Hold all drills; those that run are not ended by it. Can be repeated."""
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    since = datetime.now(UTC).isoformat(timespec="seconds")
    write_atomically(_file(state_dir), f"since {since}\n")


def take_off(state_dir: Path) -> bool:
    """Let drills run again; return whether they were held."""
    held = _file(state_dir).exists()
    _file(state_dir).unlink(missing_ok=True)
    return held
