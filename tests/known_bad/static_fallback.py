"""Defect: falls back on a fixed account when its lease is refused, and stays there: requests go
on, by a login that no revocation ends. `static_sessions` ought to catch it."""

import time
from typing import Any

import requests

from drills.prove.defects import Defect
from loadtests.certificates import pem_file
from loadtests.secrets import handled
from loadtests.target import Target
from loadtests.vault import Issued
from tests.known_bad.control import ControlPool


class StaticFallback(ControlPool):
    """Keeps the password of the service's static role for a bad day."""

    def __init__(self, target: Target, **more: Any) -> None:
        super().__init__(target, **more)
        path = f"v1/{target.database_mount}/static-creds/{target.role}-static"
        answer = requests.get(
            f"{target.vault_addresses[0]}/{path}",
            headers={"X-Vault-Token": self._token.value},
            verify=str(pem_file(target.vault_ca_pem)) if target.vault_ca_pem else True,
            timeout=5,
        )
        found = answer.json()["data"]
        handled("password", found["password"])
        forever, now = 10.0**9, time.monotonic()
        self._fixed = Issued(found["username"], found["password"], "", forever, False, now)

    def refused(self, issued: Issued) -> Issued:
        """Return the fixed account, from now on."""
        self.credential = self._fixed
        return self._fixed


DEFECT = Defect(
    pool=f"{__name__}:StaticFallback", caught_by={"forced-expiry": ("static_sessions",)}
)
