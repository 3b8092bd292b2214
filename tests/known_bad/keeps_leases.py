"""Defect: never gives a lease back, neither one that was replaced nor at the end.
`leases_left` ought to catch it."""

from drills.prove.defects import Defect
from loadtests.vault import Issued
from tests.known_bad.control import ControlPool


class KeepsLeases(ControlPool):
    """Leaves everything to the ttl."""

    def give_back(self, issued: Issued) -> None:
        """Do nothing."""

    def give_all_back(self) -> None:
        """Do nothing."""


DEFECT = Defect(pool=f"{__name__}:KeepsLeases", caught_by={"forced-expiry": ("leases_left",)})
