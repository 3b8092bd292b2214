"""Probe `capabilities`: what a service may do in Vault beyond what it is for.

It logs in as the service does, once, and asks Vault itself (sys/capabilities-self) about paths
that no service has any business with. Nothing is done there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, ClassVar

from drills.access import as_token
from drills.errors import VaultRefused, VaultUnreachable
from drills.probes.base import VaultProbe
from drills.vault import Vault
from infra.platform import Platform, Service


def no_business(platform: Platform, service: Service) -> list[str]:
    """Return paths on which the login of `service` should have no capability but `deny`."""
    mount, database = platform.vault.database_mount, platform.postgres.database
    own = {service.role, service.read_only_role}
    roles = [role for each in platform.services for role in (each.role, each.read_only_role)]
    return [
        *(f"{mount}/creds/{role}" for role in (*roles, "somebody-else") if role not in own),
        f"{mount}/roles/{service.role}",
        f"{mount}/config/{database}",
        f"{mount}/rotate-root/{database}",
        f"sys/leases/revoke-prefix/{mount}",
        f"sys/leases/lookup/{mount}",
        "sys/policies/acl/somebody-else",
        "sys/auth/somebody-else",
        "sys/mounts/somebody-else",
        "sys/audit/somebody-else",
        "sys/seal",
        "sys/step-down",
        "sys/storage/raft/snapshot",
        "auth/token/create",
        f"auth/{service.auth.mount}/role/{service.name}/secret-id",
        "identity/entity",
    ]


class Capabilities(VaultProbe):
    """Fields: service, asked (how many paths), allowed (those with a capability)."""

    name: ClassVar[str] = "capabilities"
    every: ClassVar[float] = 1.0

    def __init__(
        self,
        platform: Platform,
        service: Service,
        vault: Vault,
        observe: Callable[..., Any],
        failed: Callable[[str, str], Any],
    ) -> None:
        super().__init__(vault, observe, failed)
        self._platform = platform
        self._service = service
        self._paths = no_business(platform, service)
        self._as_service: Vault | None = None

    def look(self) -> None:
        """Ask; log in again when the login has been revoked."""
        if self._as_service is None:
            self._as_service = self._log_in()
        try:
            body = {"paths": self._paths}
            path = "sys/capabilities-self"
            told = self._as_service.call("POST", path, json=body, seconds=0, timeout=2)["data"]
        except VaultRefused:
            self._log_out()
            raise
        allowed = [path for path in self._paths if set(told[path]) != {"deny"}]
        self.observe(self.name, service=self._service.name, asked=len(self._paths), allowed=allowed)

    def _log_in(self) -> Vault:
        auth = self._service.auth
        body = {"role_id": auth.role_id, "secret_id": auth.secret_id.get_secret_value()}
        path = f"auth/{auth.mount}/login"
        answer = self._vault.call("POST", path, json=body, seconds=0, timeout=2)
        return as_token(self._platform, str(answer["auth"]["client_token"]))

    def _log_out(self) -> None:
        if self._as_service is not None:
            with contextlib.suppress(VaultRefused, VaultUnreachable):
                self._as_service.call("POST", "auth/token/revoke-self", seconds=0, timeout=2)
            self._as_service.close()
            self._as_service = None

    def close(self) -> None:
        """End the login."""
        self._log_out()
