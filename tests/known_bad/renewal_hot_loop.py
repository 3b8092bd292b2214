"""Defect: renews again as soon as it has renewed (hashicorp/vault#26382).
`renewals_per_client` ought to catch it."""

from drills.prove.defects import Defect
from tests.known_bad.control import ControlPool


class RenewalHotLoop(ControlPool):
    """Renews twenty times a second at most."""

    def next_renewal(self, granted_at: float, seconds: float) -> float:
        """At once, or nearly."""
        return granted_at + 0.05


DEFECT = Defect(
    pool=f"{__name__}:RenewalHotLoop",
    caught_by={
        "forced-expiry": ("renewals_per_client",),
        "renewal-herd": ("renewals_per_client", "renewal_peak"),
    },
)
