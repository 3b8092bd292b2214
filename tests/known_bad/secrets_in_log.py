"""Defect: writes the connection string to its log, password included. `leaked_secrets` ought to
catch it, in any drill."""

import sys

from drills.prove.defects import Defect
from loadtests.vault import Issued
from tests.known_bad.control import ControlPool


class SecretsInLog(ControlPool):
    """Tells everybody."""

    def take(self) -> Issued:
        """Take a lease, and log it."""
        issued = super().take()
        sys.stderr.write(f"connecting as {issued.username}:{issued.password}@postgres\n")
        return issued


DEFECT = Defect(
    pool=f"{__name__}:SecretsInLog",
    caught_by={
        "forced-expiry": ("leaked_secrets",),
        "session-outlives-revocation": ("leaked_secrets",),
    },
)
