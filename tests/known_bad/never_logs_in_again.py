"""Defect: logs in to Vault once. When its token is revoked it asks on with the dead one.
`failed_ratio` and `recovery_seconds` ought to catch it."""

from drills.prove.defects import Defect
from loadtests.vault import Issued
from tests.known_bad.control import ControlPool


class NeverLogsInAgain(ControlPool):
    """Takes 403 for a passing trouble."""

    def take(self) -> Issued:
        """Take a lease with the one token it has."""
        with self._busy:
            return self._vault.issue(self._token)


DEFECT = Defect(
    pool=f"{__name__}:NeverLogsInAgain",
    caught_by={"client-token-revoked": ("failed_ratio", "recovery_seconds")},
)
