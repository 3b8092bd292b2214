"""Writing a run folder. Its format is the contract in docs/ARCHITECTURE.md; `drills.bounds.history`
reads it back. `read`, `History` and `RecordError` are re-exported here for callers."""

from __future__ import annotations

import json
import math
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from drills.bounds.history import (
    FaultTimes,
    History,
    Phase,
    RecordError,
    Requests,
    RunInfo,
    Sample,
    read,
)

__all__ = [
    "FaultTimes",
    "History",
    "Phase",
    "RecordError",
    "Requests",
    "RunFolder",
    "RunInfo",
    "Sample",
    "read",
]

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class RunFolder:
    """One run's folder, open for writing. Safe to use from many threads.

    Every line goes out in one write and is never rewritten, so a runner that is killed leaves at
    most one torn line at the end of a file. Every string passes through `redact` first.
    """

    def __init__(self, path: Path, *, redact: Callable[[str], str]) -> None:
        """Open the existing folder `path`; a torn last line of a killed writer is cut off.

        Raises `RecordError` when the folder or its files can't be written.
        """
        self.path = path
        self.run = path.name
        self._redact = redact
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._events = _open_for_append(path / "events.jsonl")
            self._samples = _open_for_append(path / "samples.jsonl")
        except OSError as error:
            raise RecordError(f"{path}: can't be written: {error.strerror or error}") from error

    @classmethod
    def create(
        cls,
        root: Path,
        drill: str,
        *,
        redact: Callable[[str], str],
        now: datetime | None = None,
    ) -> Self:
        """Make `root/<UTC stamp>-<drill>/` (mode 0700) and point `root/latest` to it.

        A second run within the same second gets `-2` behind its name. Raises `RecordError` when
        the folder can't be made.
        """
        stamp = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dt%H%M%Sz")
        try:
            root.mkdir(parents=True, exist_ok=True)
            path = _make_unique(root, f"{stamp}-{drill}")
            _point(root / "latest", path.name)
        except OSError as error:
            raise RecordError(
                f"{error.filename or root}: can't be made: {error.strerror or error}"
            ) from error
        return cls(path, redact=redact)

    def event(self, name: str, /, *, t: float | None = None, **fields: object) -> float:
        """Append an event to events.jsonl and return its time (monotonic seconds)."""
        return self._append(self._events, "event", name, t, fields)

    def sample(self, probe: str, /, t: float | None = None, **fields: object) -> float:
        """Append a probe's sample to samples.jsonl and return its time (monotonic seconds)."""
        return self._append(self._samples, "probe", probe, t, fields)

    def write_json(self, name: str, obj: object) -> Path:
        """Write `name` in the folder whole or not at all (write aside, sync, rename)."""
        target = self.path / name
        text = json.dumps(_clean(obj, self._redact), indent=2, ensure_ascii=False, allow_nan=False)
        write_atomically(target, text + "\n")
        return target

    def close(self) -> None:
        """Close the files. Later events and samples are dropped: a probe thread that outlives
        the run must not crash on the way out. Closing twice is fine."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._events)
                os.close(self._samples)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _append(
        self, fd: int, key: str, name: str, t: float | None, fields: Mapping[str, object]
    ) -> float:
        at = time.monotonic() if t is None else t
        row = {"t": round(at, 6), key: name, **fields}
        line = json.dumps(_clean(row, self._redact), ensure_ascii=False, allow_nan=False) + "\n"
        data = line.encode("utf-8", "backslashreplace")
        with self._lock:
            if self._closed:
                return at
            view = memoryview(data)
            while view:  # a full disk or a signal can cut one write short
                view = view[os.write(fd, view) :]
        return at


def write_atomically(target: Path, text: str) -> None:
    """Replace `target` with `text` (mode 0600); a crash leaves the old file or the new one."""
    aside = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}")
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _clean(value: object, redact: Callable[[str], str]) -> object:
    """`value` as JSON can hold it, with every string in it, keys too, redacted."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {redact(str(key)): _clean(item, redact) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return [_clean(item, redact) for item in items]
    return redact(str(value))


def _open_for_append(path: Path) -> int:
    """Open `path` for appending, without the torn line that a killed writer may have left."""
    fd = os.open(path, _APPEND, 0o600)
    size = os.fstat(fd).st_size
    if size:
        whole = path.read_bytes().rfind(b"\n") + 1
        if whole != size:
            os.ftruncate(fd, whole)
    return fd


def _make_unique(root: Path, name: str) -> Path:
    number = 1
    while True:
        path = root / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        else:
            return path


def _point(link: Path, name: str) -> None:
    aside = link.with_name(f".{link.name}.{os.getpid()}.{secrets.token_hex(4)}")
    aside.symlink_to(name)
    try:
        aside.replace(link)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
