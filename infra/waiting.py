"""Waiting on a condition with a deadline; never a fixed sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class WaitedTooLong(Exception):
    """The condition did not come true in time. The message says which, and for how long."""


def wait_for(
    condition: Callable[[], T | None],
    what: str,
    *,
    seconds: float,
    every: float = 0.05,
    still_possible: Callable[[], str | None] = lambda: None,
) -> T:
    """Return the first truthy result of `condition`, asked each `every` seconds.

    `still_possible` returns why waiting on is in vain (the server died, say), or None.
    Raises `WaitedTooLong` after `seconds`, or at once when waiting is in vain.
    """
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        reason = still_possible()
        if reason:
            raise WaitedTooLong(f"{what}: {reason}")
        if time.monotonic() >= deadline:
            raise WaitedTooLong(f"{what}: not within {seconds:g} s")
        time.sleep(every)
