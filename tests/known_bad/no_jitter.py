"""Defect: renews at two thirds of the lease, to the millisecond. Clients whose leases have the
same age renew in step. `renewal_peak` ought to catch it, where there are clients enough."""

from drills.prove.defects import Defect
from tests.known_bad.control import ControlPool


class NoJitter(ControlPool):
    """Knows no chance."""

    def next_renewal(self, granted_at: float, seconds: float) -> float:
        """At two thirds."""
        return granted_at + seconds * 2 / 3


DEFECT = Defect(pool=f"{__name__}:NoJitter", caught_by={"renewal-herd": ("renewal_peak",)})
