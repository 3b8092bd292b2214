"""Lines of an audit log in Vault 1.21's shape, for the tests of `drill audit`."""

from __future__ import annotations

import json
from typing import Any


def line(
    path: str,
    *,
    at: str = "2026-11-21T10:00:00.5Z",
    operation: str = "read",
    kind: str = "response",
    request_id: str = "r-1",
    service: str | None = "orders",
    policies: tuple[str, ...] = ("default", "orders"),
    granting: tuple[str, ...] | None = None,
    address: str = "10.0.0.1",
    error: str | None = None,
    lease_id: str | None = None,
    entity_id: str = "e-1",
) -> bytes:
    """Return one line, without its newline. `granting` None: as older Vaults leave it out."""
    auth: dict[str, Any] = {
        "display_name": "approle",
        "entity_id": entity_id,
        "policies": list(policies),
    }
    if service:
        auth["metadata"] = {"role_name": service}
    if granting is not None:
        named = [{"name": name, "type": "acl"} for name in granting]
        auth["policy_results"] = {"allowed": True, "granting_policies": [{"type": ""}, *named]}
    row: dict[str, Any] = {
        "auth": auth,
        "request": {
            "id": request_id,
            "operation": operation,
            "path": path,
            "remote_address": address,
            "client_token_accessor": "hmac-sha256:0123",
            "namespace": {"id": "root"},
            "data": {"path": "hmac-sha256:4567"},
        },
    }
    if lease_id:
        row["response"] = {"secret": {"lease_id": lease_id}}
    if error:
        row["error"] = error
    row |= {"time": at, "type": kind}
    return json.dumps(row, separators=(",", ":")).encode()
