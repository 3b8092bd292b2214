"""The database engine's connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.offline_plugins.diff import seconds
from tools.offline_plugins.sdk import Object
from tools.offline_plugins.server import ResourceError
from tools.offline_plugins.spec import snake, zero
from tools.offline_plugins.vault.endpoint import EndpointKind

BLOCK = "postgresql"
PLUGIN = "postgresql-database-plugin"
_SECRET = {"password", "privateKey", "serviceAccountJson"}
_NEVER_READ = _SECRET | {"passwordWoVersion"}


class ConnectionKind(EndpointKind):
    """A connection to Postgres: its block lies flat in what is sent, and nested in what is read."""

    def body(
        self, inputs: Mapping[str, Any], olds: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What is sent. A secret goes only when it has changed: Vault may have rotated it since."""
        others = [
            name
            for name, kind in self.schema.inputs.items()
            if isinstance(kind, Object) and name != BLOCK and inputs.get(name) is not None
        ]
        if others:
            raise ResourceError(
                f"{self.spec.resource}: {others[0]}: the offline stand-in connects to Postgres "
                "only; the published plugin serves this block"
            )
        block = dict(inputs.get(BLOCK) or {})
        before = (olds or {}).get(BLOCK) or {}
        for name in _SECRET:
            if olds is not None and block.get(name) == before.get(name):
                block.pop(name, None)
        if olds is not None and block.get("passwordWoVersion") == before.get("passwordWoVersion"):
            block.pop("passwordWo", None)
        if "passwordWo" in block:
            block["password"] = block.pop("passwordWo")
        block.pop("passwordWoVersion", None)
        if "maxConnectionLifetime" in block:
            block["maxConnectionLifetime"] = f"{block['maxConnectionLifetime']}s"
        body = super().body({k: v for k, v in inputs.items() if k != BLOCK}, olds)
        body.pop(BLOCK, None)
        body.setdefault("plugin_name", PLUGIN)
        return {**body, **(inputs.get("data") or {}), **{snake(n): v for n, v in block.items()}}

    def gather(self, identifier: str, known: Mapping[str, Any]) -> dict[str, Any] | None:
        """The state; the blocks of other databases are null."""
        data = self.fetch(identifier, known)
        state = super().gather(identifier, known)
        if data is None or state is None:
            return None
        details = data.get("connection_details") or {}
        block = self.schema.inputs[BLOCK]
        if not isinstance(block, Object):
            raise ResourceError(f"{self.spec.resource}: this SDK has no block {BLOCK}")
        before = known.get(BLOCK) or {}
        values: dict[str, Any] = {}
        for name, kind in block.fields.items():
            if name in _NEVER_READ:
                value = before.get(name)
            elif name == "maxConnectionLifetime":
                value = seconds(details.get(snake(name)))
            elif name == "passwordAuthentication":
                value = details.get(snake(name)) or before.get(name) or "password"
            else:
                value = details.get(snake(name))
            values[name] = zero(kind) if value is None else value
        state[BLOCK] = values
        return state
