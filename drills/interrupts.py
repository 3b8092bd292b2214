"""Ctrl-C and SIGTERM, kept until the runner asks for them."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from types import FrameType


@dataclass
class Signals:
    """Ctrl-C and SIGTERM as a flag, so that no step is torn in the middle."""

    received: int | None = None

    def __enter__(self) -> Signals:
        self._before = {
            number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received = self.received or number
