"""`requests.jsonl`: one line a request, with monotonic time, outcome and error class."""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from pathlib import Path

from loadtests.errors import LoadtestError

VARIABLE = "LOADTESTS_REQUEST_LOG"
FLUSH_SECONDS = 0.5


class RequestLogError(LoadtestError):
    """Raised when the request log can't be opened or written: a run without it can't be judged.
    Check that its folder exists and has room."""


class RequestLog:
    """Appends requests to a file, in whole lines, at least every 0.5 s and on `close`.

    Safe from threads and greenlets. A write that fails is kept in `problem`; from then on
    requests are dropped, since a full disk must not stop the load in the middle of a drill.
    """

    def __init__(self, path: Path, *, flush_seconds: float = FLUSH_SECONDS) -> None:
        self.path = path
        self.problem: str | None = None
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RequestLogError(f"request log {path}: {error.strerror}") from None
        self._lines: deque[str] = deque()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._flush_seconds = flush_seconds
        self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
        self._thread.start()

    def record(
        self,
        *,
        start: float,
        seconds: float,
        op: str,
        ok: bool,
        error: str | None = None,
        status: int | None = None,
    ) -> None:
        """Note one request. `start` is `time.monotonic()` at its start; `error` names a class."""
        line = {
            "t": round(start, 6),
            "s": round(seconds, 6),
            "op": op,
            "ok": ok,
            "error": error,
            "status": status,
        }
        # append is atomic under threads and greenlets alike: no lock in a measured path
        self._lines.append(json.dumps(line, separators=(",", ":")) + "\n")

    def flush(self) -> None:
        """Write what was recorded so far."""
        with self._lock:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            if not lines or self.problem:
                return
            rest = memoryview("".join(lines).encode())
            try:
                while rest:
                    rest = rest[os.write(self._file, rest) :]
            except OSError as error:
                self.problem = f"request log {self.path}: {error.strerror}"

    def close(self) -> None:
        """Write the rest and close the file; a second call does nothing."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._thread.join(timeout=5)
        self.flush()
        os.close(self._file)

    def _run(self) -> None:
        while not self._closed.wait(self._flush_seconds):
            self.flush()
