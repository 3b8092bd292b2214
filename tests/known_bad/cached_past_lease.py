"""Defect: credentials are cached for ten minutes, whatever their lease says. Nothing is renewed,
and what Postgres refuses is tried again until the cache says otherwise. `failed_requests` of
natural-max-ttl ought to catch it, and `recovery_seconds` of forced-expiry."""

import time

from drills.prove.defects import Defect
from loadtests.vault import Issued
from tests.known_bad.control import ControlPool

_CACHE_SECONDS = 600.0


class CachedPastLease(ControlPool):
    """Believes its cache."""

    def next_renewal(self, granted_at: float, seconds: float) -> float:
        """Not before the cache is old."""
        return granted_at + _CACHE_SECONDS

    def refused(self, issued: Issued) -> Issued:
        """Return what is cached."""
        if time.monotonic() < issued.asked_at + _CACHE_SECONDS:
            return issued
        return super().refused(issued)


DEFECT = Defect(
    pool=f"{__name__}:CachedPastLease",
    caught_by={
        "natural-max-ttl": ("failed_requests",),
        "forced-expiry": ("failed_ratio", "recovery_seconds"),
    },
)
