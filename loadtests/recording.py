"""Logs what any locust file sends, through locust's own events:

    LOADTESTS_REQUEST_LOG=requests.jsonl locust -f yours.py,loadtests/recording.py

Each request goes to the log with monotonic time, outcome and error class. A failed request is
data: locust exits 0 all the same, whatever your file makes of it (`process_exit_code`); 1 only
when the log could not be written, 2 when it could not be opened.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from locust import events

from loadtests import requestlog
from loadtests.errors import LoadtestError
from loadtests.secrets import redact


class _Recording:
    """The log of this process, while it has one."""

    log: requestlog.RequestLog | None = None
    broken = False


_recording = _Recording()


def load_broke() -> None:
    """Have locust exit 1: the load itself broke, as no failed request can say. For our own locust
    file; this module's listener comes last, and sets the exit status."""
    _recording.broken = True


def _open(**_: Any) -> None:
    try:
        if path := os.environ.get(requestlog.VARIABLE):
            _recording.log = requestlog.RequestLog(Path(path))
    except LoadtestError as error:
        sys.stderr.write(redact(f"recording: {error}\n"))
        sys.exit(2)


def _record(
    name: str,
    response_time: float,
    exception: BaseException | None = None,
    response: Any = None,
    context: dict[str, Any] | None = None,
    **_: Any,
) -> None:
    if _recording.log is None:
        return
    seconds = (response_time or 0.0) / 1000
    start = (context or {}).get("start", time.monotonic() - seconds)
    _recording.log.record(
        start=start,
        seconds=seconds,
        op=name,
        ok=exception is None,
        error=None if exception is None else _error_class(exception, response),
        status=getattr(response, "status_code", None) or None,
    )


def _error_class(exception: BaseException, response: Any) -> str:
    """Return the class that the service names in its 500, else that of our own exception."""
    try:
        return str(json.loads(response.text)["error"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return type(exception).__name__


def _finish(environment: Any, **_: Any) -> None:
    # failed requests are what a drill is about
    environment.process_exit_code = 1 if _recording.broken else 0
    log, _recording.log = _recording.log, None
    if log is None:
        return
    log.close()
    if log.problem:
        sys.stderr.write(redact(f"recording: {log.problem}\n"))
        environment.process_exit_code = 1


_hooks: Any = events  # locust's decorators are untyped
_hooks.init.add_listener(_open)
_hooks.request.add_listener(_record)
_hooks.quitting.add_listener(_finish)
