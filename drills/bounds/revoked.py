"""What the three bounds on a revocation share: the evidence that something was revoked."""

from __future__ import annotations

from drills.bounds.base import number
from drills.bounds.history import History, Sample


def revocations(history: History) -> tuple[Sample, ...]:
    """The samples of the probe `revocation`."""
    return history.probe("revocation")


def nothing_revoked(rows: tuple[Sample, ...]) -> str | None:
    """Why these samples prove nothing, or None: a revocation of no role always looks complete."""
    if not rows:
        return "nobody looked after the revocation"
    revoked = rows[-1]["revoked_roles"]
    count = len(revoked) if isinstance(revoked, list) else number(revoked)
    if count is None:
        return "it is not known what was revoked"
    return None if count > 0 else "the fault revoked no role: nothing was put to the test"
