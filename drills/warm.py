"""Before the phases: wait until the load is warm."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from drills.errors import SetupError
from drills.probes.audit import LogTail
from infra.waiting import WaitedTooLong, wait_for

#: The log's whole past, whatever its size.
_ALL = 2**40


def wait_until_warm(
    request_log: Path, look_around: Callable[[], object], *, seconds: float = 90.0
) -> None:
    """Wait until a request has been answered.

    On a busy machine locust takes its time to begin, and phases without requests say nothing.
    `look_around` is called meanwhile; what it raises ends the wait. Raises `SetupError` when
    nothing is answered within `seconds`.
    """
    tail = LogTail(request_log, back=_ALL)

    def answered() -> bool:
        look_around()
        return any(_ok(line) for line in tail.lines())

    try:
        wait_for(answered, "no request was answered", seconds=seconds, every=0.1)
    except WaitedTooLong as error:
        raise SetupError(
            f"the load does not get warm ({error}): see load.log and service.log of the run"
        ) from None
    finally:
        tail.close()


def _ok(line: bytes) -> bool:
    try:
        return json.loads(line)["ok"] is True
    except (ValueError, KeyError, TypeError):
        return False
