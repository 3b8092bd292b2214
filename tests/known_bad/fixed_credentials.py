"""Defect: fixed credentials, taken once at the start. It is the pool `static`: what everybody
writes first. `failed_ratio` and `recovery_seconds` ought to catch it."""

from drills.prove.defects import Defect

_NEVER_RECOVERS = ("failed_ratio", "recovery_seconds")

DEFECT = Defect(
    pool="static",
    caught_by={
        "forced-expiry": _NEVER_RECOVERS,
        "single-lease-revoked": _NEVER_RECOVERS,
        "client-token-revoked": _NEVER_RECOVERS,
        "natural-max-ttl": ("failed_requests",),
    },
)
