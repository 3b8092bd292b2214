"""Durations as people write them: `500ms`, `10s`, `2m`, `1h`. Inside, seconds as a float."""

from __future__ import annotations

import re
from decimal import Decimal

_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_FORM = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)\s*([A-Za-z]*)", re.ASCII)
_LONGEST = 7 * 24 * 3600


class DurationError(ValueError):
    """The text is no duration. Raised by `parse`; says what to write instead."""


def parse(text: object) -> float:
    """Return the seconds that `text` stands for.

    The unit is mandatory: `fault: 2` read as seconds by one person and as minutes by another is
    a broken drill. Raises `DurationError` for a missing or unknown unit, a sign, anything that
    is not text, and for more than a week.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        raise DurationError(f"unit missing: write {text}s, {text}ms or {text}m")
    if not isinstance(text, str):
        raise DurationError(f"not a duration: {text!r}; write 10s, 500ms or 2m")
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise DurationError(f"not a duration: {text!r}; write 10s, 500ms or 2m")
    figure, unit = match.groups()
    if not unit:
        raise DurationError(f"unit missing: write {figure}s, {figure}ms or {figure}m")
    if unit not in _SECONDS:
        raise DurationError(f"unknown unit {unit!r} in {text!r}: units are ms, s, m, h")
    seconds = Decimal(figure) * _SECONDS[unit]
    if seconds > _LONGEST:
        raise DurationError(f"longer than a week: {text!r}")
    return float(seconds)


def render(seconds: float) -> str:
    """Write `seconds` the way a drill file does, so that `parse(render(x)) == x`."""
    if seconds >= 60 and seconds % 60 == 0:
        return f"{int(seconds // 60)}m"
    if seconds == int(seconds):
        return f"{int(seconds)}s"
    exact = Decimal(repr(seconds))
    if seconds < 1 and exact * 1000 == int(exact * 1000):
        return f"{int(exact * 1000)}ms"
    return f"{exact:f}s"
