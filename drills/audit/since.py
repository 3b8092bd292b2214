"""A point in time as people write it: `2026-11-21`, `2026-11-21T10:00Z`, or `36h` ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse(text: str, *, now: datetime | None = None) -> datetime:
    """Return the time in UTC; one without a zone is taken as UTC, which is what the log is in.

    Raises `ValueError` with what to write instead.
    """
    ago = _AGO.fullmatch(text.strip())
    if ago:
        seconds = int(ago[1]) * _UNITS[ago[2]]
        return (now or datetime.now(UTC)) - timedelta(seconds=seconds)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"{text!r} is no time: write 36h, 7d, 2026-11-21 or 2026-11-21T10:00Z"
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def text(moment: datetime) -> str:
    """Return the time in the log's form; it sorts as text up to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
