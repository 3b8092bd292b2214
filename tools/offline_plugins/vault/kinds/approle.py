"""AppRole roles: the role id has a path of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.offline_plugins.vault.endpoint import EndpointKind


class RoleKind(EndpointKind):
    """A role with its role id."""

    def write(
        self, path: str, body: Mapping[str, Any], values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The role, then its role id when the program gives one."""
        answer = super().write(path, body, values)
        if values.get("roleId"):
            super().write(f"{path}/role-id", {"role_id": values["roleId"]}, values)
        return answer

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The role and its role id."""
        data = super().fetch(identifier, known)
        if data is None:
            return None
        answer = self.client.get(f"{identifier}/role-id", namespace=known.get("namespace")) or {}
        return {**data, **(answer.get("data") or {})}
