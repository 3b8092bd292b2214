"""What the day says: whether drills may run now, and which third-party keys are overdue."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from infra.platform import DrillWindow, Platform

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_open(window: DrillWindow, now: datetime) -> bool:
    """Return whether `now` (aware) is in the window. One that ends before it begins goes over
    midnight, and belongs to the day that it begins on."""
    now = now.astimezone(UTC)
    clock = now.strftime("%H:%M")
    today, yesterday = _DAYS[now.weekday()], _DAYS[(now - timedelta(days=1)).weekday()]
    if window.start < window.end:
        return today in window.days and window.start <= clock < window.end
    return (today in window.days and clock >= window.start) or (
        yesterday in window.days and clock < window.end
    )


def closed(platform: Platform, now: datetime) -> str | None:
    """Return why no drill may run at `now`, or None."""
    window = platform.drills.window
    if window is None or is_open(window, now):
        return None
    return (
        f"stack {platform.stack} is drilled on {', '.join(window.days)} from {window.start} to "
        f"{window.end} UTC alone, and it is {now.astimezone(UTC):%a %H:%M}: wait, or change "
        f"drills:window in Pulumi.{platform.stack}.yaml"
    )


def overdue(platform: Platform, today: date) -> list[str]:
    """Return a line for each third-party key whose day to be rotated has passed."""
    return [
        f"{key.path} is overdue: {key.owner} should have rotated it by {key.rotate_by}"
        for key in platform.api_keys
        if key.rotate_by < today
    ]
