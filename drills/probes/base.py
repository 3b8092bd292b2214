"""A probe: one measurement, taken over and over in a thread of its own. Probes read only."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from drills.vault import Vault

#: A probe that fails this often in a row is dead, and what depends on it inconclusive.
_FAILURES_IN_A_ROW = 40


class Probe(ABC):
    """Samples every `every` seconds until stopped.

    A look that fails is left out (the judge counts what is missing); a probe that does nothing
    but fail says so once, by `failed`.
    """

    name: ClassVar[str]
    every: ClassVar[float]

    def __init__(self, observe: Callable[..., Any], failed: Callable[[str, str], Any]) -> None:
        self.observe = observe
        self._failed = failed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"probe-{self.name}", daemon=True)

    @abstractmethod
    def look(self) -> None:
        """Take the measurement and `observe` it."""

    def close(self) -> None:  # noqa: B027 - most probes hold nothing
        """Give back what the probe holds; called in its own thread."""

    def start(self) -> None:
        """Begin to sample."""
        self._thread.start()

    def stop(self) -> None:
        """Stop sampling; waits for the look that is under way (10 s at most)."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        failures = 0
        due = time.monotonic()
        try:
            while not self._stopped.is_set():
                try:
                    self.look()
                    failures = 0
                except Exception as error:  # noqa: BLE001 - a probe must never end a drill
                    failures += 1
                    if failures == _FAILURES_IN_A_ROW:
                        self._failed(self.name, f"{type(error).__name__}: {error}")
                # By due times, not pauses: a slow look must not thin out the samples.
                due = max(due + self.every, time.monotonic())
                self._stopped.wait(due - time.monotonic())
        finally:
            self.close()


class VaultProbe(Probe):
    """A probe that asks Vault, by the harness's own access."""

    def __init__(
        self, vault: Vault, observe: Callable[..., Any], failed: Callable[[str, str], Any]
    ) -> None:
        super().__init__(observe, failed)
        self._vault = vault
