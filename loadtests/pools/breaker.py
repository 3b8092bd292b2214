"""`Breaker`: whether requests without a credential wait, or are turned away at once."""

from __future__ import annotations

import time
from typing import Literal

from loadtests.vault import VaultUnavailable

State = Literal["closed", "open", "half-open"]


class Breaker:
    """Opens when Vault refuses, or has been unavailable for `grace` seconds.

    An election takes 1 to 3 s: waiting beats failing then. Open, it lets one probe through at a
    time (`probing`, half-open): the lease thread's own next try. Its user holds the lock.
    """

    def __init__(self, grace: float) -> None:
        self.probing = False
        self.failures = 0
        self.trouble: Exception | None = None
        self._grace = grace
        self._since = 0.0

    def failed(self, error: Exception) -> None:
        """Note a failure."""
        if self.trouble is None:
            self._since = time.monotonic()
        self.failures += 1
        self.trouble = error

    def succeeded(self) -> None:
        """Close it."""
        self.failures, self.trouble = 0, None

    @property
    def state(self) -> State:
        """`closed`, `open`, or `half-open` while a probe is under way."""
        if self.trouble is None:
            return "closed"
        if self.unavailable and time.monotonic() - self._since < self._grace:
            return "closed"
        return "half-open" if self.probing else "open"

    @property
    def unavailable(self) -> bool:
        """Say whether the trouble is an outage, which passes, rather than a refusal."""
        return isinstance(self.trouble, VaultUnavailable)
