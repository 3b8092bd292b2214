"""Defect: takes a new lease in time, but goes on with the sessions that it has: they are never
re-authenticated, nor looked at before they are lent. When the old lease ends Vault ends them under
a request. `failed_requests` ought to catch it."""

from drills.prove.defects import Defect
from tests.known_bad.control import ControlPool


class KeepsSessions(ControlPool):
    """Rotates the credential, and nothing else."""

    checks = False

    def replace(self) -> None:
        """Take a new lease, for connections to come; the old one is left to its sessions."""
        with self._busy:
            self.credential = self.take()


DEFECT = Defect(
    pool=f"{__name__}:KeepsSessions", caught_by={"natural-max-ttl": ("failed_requests",)}
)
