"""Safeguards: what ends a drill at once while its fault stands.

They guard the time in which something can still be taken back, baseline and fault. Once the fault
is undone there is nothing left to abort, and the bounds judge.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drills.definition import FailedRatioGuard, LeaderMissingGuard, SafeguardSpec
from drills.probes.audit import LogTail

#: A ratio of fewer requests than this says nothing.
_MIN_REQUESTS = 20


@dataclass(frozen=True)
class Breach:
    """A safeguard that has been over its limit for its whole window, which was over at
    `breached` (monotonic seconds)."""

    safeguard: str
    observed: float
    limit: float
    breached: float


class Watch:
    """Follows requests and node health, and says when a safeguard is breached.

    `node_health` is fed by the probes (any thread); `breach` is asked by the runner.
    """

    def __init__(self, safeguards: tuple[SafeguardSpec, ...], request_log: Path) -> None:
        self._safeguards = safeguards
        self._request_log = request_log
        self._tail: LogTail | None = None
        self._requests: deque[tuple[float, bool]] = deque()
        self._last_active = time.monotonic()
        self._over_since: dict[int, float] = {}
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Start to watch: what came before is not held against the run."""
        self._tail = LogTail(self._request_log)
        self._requests.clear()
        self._over_since.clear()
        with self._lock:
            self._last_active = time.monotonic()

    def node_health(self, *, t: float, active: bool, **_fields: Any) -> None:
        """Take a sample of probe node_health."""
        if active:
            with self._lock:
                self._last_active = max(self._last_active, t)

    def breach(self) -> Breach | None:
        """Return the first safeguard that is breached now, or None."""
        self._read_requests()
        now = time.monotonic()
        for index, (name, params) in enumerate(self._safeguards):
            if isinstance(params, LeaderMissingGuard):
                with self._lock:
                    missing = now - self._last_active
                if missing > params.for_seconds:
                    breached = now - missing + params.for_seconds
                    return Breach(name, round(missing, 3), params.for_seconds, breached)
            elif isinstance(params, FailedRatioGuard):
                ratio = self._failed_ratio(now)
                if ratio is None or ratio <= params.over:
                    self._over_since.pop(index, None)
                    continue
                since = self._over_since.setdefault(index, now)
                if now - since >= params.for_seconds:
                    return Breach(name, round(ratio, 4), params.over, since + params.for_seconds)
        return None

    def _read_requests(self) -> None:
        if self._tail is None:
            return
        for line in self._tail.lines():
            try:
                row = json.loads(line)
                # By their end: a request that hangs for its whole timeout counts when it fails.
                self._requests.append((row["t"] + row["s"], bool(row["ok"])))
            except (ValueError, KeyError, TypeError):
                continue

    def _failed_ratio(self, now: float) -> float | None:
        """Return the share that failed of the requests that ended in the last 2 s."""
        while self._requests and self._requests[0][0] < now - 2:
            self._requests.popleft()
        if len(self._requests) < _MIN_REQUESTS:
            return None
        return sum(not ok for _end, ok in self._requests) / len(self._requests)
