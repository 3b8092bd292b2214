"""Every secret this process handles: told to the runner, and struck out of what is logged."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from contextlib import suppress
from select import select

VARIABLE = "LOADTESTS_SECRETS_FD"
_REMEMBERED = 4096
_PATIENCE_SECONDS = 0.05
_SHORTEST = 6  # a shorter value is no secret of Vault's, and would strike out innocent words

_lock = threading.Lock()
_values: OrderedDict[str, str] = OrderedDict()
_pattern: re.Pattern[str] | None = None


def handled(kind: str, value: str) -> None:
    """Note that this process holds the secret `value`; `kind` is what to print in its place.

    `kind` is one of `password`, `token`, `secret-id`, `lease-id`. The pair goes to the pipe
    `LOADTESTS_SECRETS_FD` where there is one. A reader that does not read costs the load 50 ms at
    most; the value is still struck out here, only the runner's scan will not know it.
    """
    global _pattern  # noqa: PLW0603 - one list a process, as there is one log a process
    if len(value) < _SHORTEST:
        return
    with _lock:
        if value in _values:
            return
        _values[value] = kind
        while len(_values) > _REMEMBERED:
            _values.popitem(last=False)
        _pattern = None
        _tell_runner(f"{kind}\t{value}\n".encode())


def _tell_runner(line: bytes) -> None:
    number = os.environ.get(VARIABLE)
    if not number:
        return
    with suppress(OSError, ValueError):  # the runner is gone: nobody will scan anyway
        pipe = int(number)
        # A line is shorter than PIPE_BUF: it goes whole or not at all, between other writers' too.
        if select([], [pipe], [], _PATIENCE_SECONDS)[1]:
            os.write(pipe, line)


def redact(text: str) -> str:
    """Return `text` with every secret handled so far replaced by its kind in brackets."""
    global _pattern  # noqa: PLW0603
    with _lock:
        if not _values:
            return text
        if _pattern is None:
            longest_first = sorted(_values, key=len, reverse=True)
            _pattern = re.compile("|".join(re.escape(value) for value in longest_first))
        return _pattern.sub(lambda found: f"[{_values[found.group()]}]", text)
