"""Secrets engines, auth methods and audit devices: listed by Vault, tuned rather than rewritten."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from typing import Any

from tools.offline_plugins.server import ResourceError
from tools.offline_plugins.spec import snake
from tools.offline_plugins.vault.client import VaultError
from tools.offline_plugins.vault.endpoint import EndpointKind, fill

_MOVE_SECONDS = 60.0
_ENABLED = ("type", "description", "local")
_CONFIG = [
    "allowedManagedKeys",
    "allowedResponseHeaders",
    "auditNonHmacRequestKeys",
    "auditNonHmacResponseKeys",
    "defaultLeaseTtlSeconds",
    "delegatedAuthAccessors",
    "forceNoCache",
    "identityTokenKey",
    "listingVisibility",
    "maxLeaseTtlSeconds",
    "passthroughRequestHeaders",
    "pluginVersion",
]
_WHOLE = ["type", "description", "local", "sealWrap", "externalEntropyAccess", "options"]
_TUNED = ["description", "options"]


def _config(inputs: Mapping[str, Any], olds: Mapping[str, Any] | None) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for name in _CONFIG:
        if name in inputs:
            value = inputs[name]
        elif olds and isinstance(olds.get(name), list) and olds[name]:
            value = []
        else:
            continue
        field = snake(name)
        if name.endswith("Seconds"):
            field, value = field.removesuffix("_seconds"), f"{value}s"
        config[field] = value
    return config


def no_such_mount(error: VaultError) -> bool:
    """Vault answers 400 for a mount that is not there."""
    return error.status == http.client.NOT_FOUND or any(
        text in reason
        for reason in error.errors
        for text in ("No secret engine mount", "No auth engine", "cannot fetch sysview")
    )


class MountKind(EndpointKind):
    """A secrets engine's mount."""

    def create(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Mount it; raises ResourceError."""
        path = str(inputs["path"]).strip("/")
        body: dict[str, Any] = {snake(n): inputs[n] for n in _WHOLE if n in inputs}
        config = _config(inputs, None)
        self.write(f"sys/mounts/{path}", {**body, "config": config}, inputs)
        return path, self.known(path, inputs)

    def update(self, identifier: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        """Move it when its path has changed, then tune it."""
        path = str(news.get("path") or identifier).strip("/")
        here = str(olds.get("path") or identifier).strip("/")
        if path != here:
            self.move(here, path, news)
        body = _config(news, olds)
        body |= {n: news.get(n) or ({} if n == "options" else "") for n in _TUNED if n in news}
        body |= {"description": ""} if olds.get("description") and "description" not in news else {}
        self.write(f"sys/mounts/{path}/tune", body, news)
        return self.known(path, news)

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """Unmount it, which revokes its leases; fails while they can't be revoked."""
        path = str(olds.get("path") or identifier).strip("/")
        self.client.delete(f"sys/mounts/{path}", namespace=olds.get("namespace"))

    def parts(self, identifier: str) -> dict[str, Any]:
        """Nothing: the path may have moved since the id was given."""
        return {}

    def imported(self, identifier: str) -> dict[str, Any]:
        """The id is the path."""
        return {**super().imported(identifier), "path": identifier}

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The mount's entry, its configuration laid flat."""
        path = str(known.get("path") or identifier).strip("/")
        try:
            answer = self.client.get(f"sys/mounts/{path}", namespace=known.get("namespace"))
        except VaultError as error:
            if no_such_mount(error):
                return None
            raise
        if answer is None:
            return None
        entry = answer.get("data") or answer
        config = entry.get("config") or {}
        ttls = {f"{n}_seconds": config.get(n) for n in ("default_lease_ttl", "max_lease_ttl")}
        return {**config, **entry, **ttls, "path": path}

    def move(self, source: str, target: str, values: Mapping[str, Any], prefix: str = "") -> None:
        """Remount and wait until it is done; raises ResourceError."""
        body = {"from": prefix + source, "to": prefix + target}
        answer = self.write("sys/remount", body, values)
        migration = (answer.get("data") or answer).get("migration_id")
        deadline = time.monotonic() + _MOVE_SECONDS
        while migration:
            status = self.client.get(f"sys/remount/status/{migration}") or {}
            info = (status.get("data") or {}).get("migration_info") or {}
            if info.get("status") == "success":
                return
            if info.get("status") == "failure" or time.monotonic() > deadline:
                raise ResourceError(f"{self.spec.resource} {source}: moving to {target} failed")


class AuthKind(MountKind):
    """An auth method's mount, with its `tune` block."""

    def create(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Enable it and tune it; raises ResourceError, and then it is disabled again."""
        path = str(inputs.get("path") or inputs["type"]).strip("/")
        body: dict[str, Any] = {n: inputs[n] for n in _ENABLED if n in inputs}
        if "identityTokenKey" in inputs:
            body["config"] = {"identity_token_key": inputs["identityTokenKey"]}
        self.write(f"sys/auth/{path}", body, inputs)
        try:
            self.configure(path, inputs, None)
            return path, self.known(path, {**inputs, "path": path})
        except ResourceError:
            self.client.delete(f"sys/auth/{path}", namespace=inputs.get("namespace"))
            raise

    def update(self, identifier: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        """Move, then tune."""
        here = str(olds.get("path") or identifier).strip("/")
        path = str(news.get("path") or here).strip("/")
        if path != here:
            self.move(here, path, news, prefix="auth/")
        self.configure(path, news, olds)
        return self.known(path, {**news, "path": path})

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """Disable it; its tokens are revoked with it."""
        path = str(olds.get("path") or identifier).strip("/")
        self.client.delete(f"sys/auth/{path}", namespace=olds.get("namespace"))

    def configure(
        self, path: str, inputs: Mapping[str, Any], olds: Mapping[str, Any] | None
    ) -> None:
        """Write the tune block, and the description when it has changed."""
        tune = inputs.get("tune") or {}
        body = {snake(name): value for name, value in tune.items() if value is not None}
        if olds is not None and inputs.get("description", "") != olds.get("description", ""):
            body["description"] = inputs.get("description", "")
        if body:
            self.write(f"sys/mounts/auth/{path}/tune", body, inputs)

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The method's entry and its tune block, merged with what the program wrote there."""
        path = str(known.get("path") or identifier).strip("/")
        namespace = known.get("namespace")
        try:
            answer = self.client.get(f"sys/auth/{path}", namespace=namespace)
        except VaultError as error:
            if no_such_mount(error):
                return None
            raise
        if answer is None:
            return None
        entry = answer.get("data") or answer
        tuned = self.client.get(f"sys/mounts/auth/{path}/tune", namespace=namespace) or {}
        return {**entry, "path": path, "tune": _tune(tuned.get("data") or tuned, known.get("tune"))}


def _tune(data: Mapping[str, Any], known: Mapping[str, Any] | None) -> dict[str, Any]:
    """The published plugin's view: durations and empty fields stay as the program wrote them."""
    tune: dict[str, Any] = {
        "allowedResponseHeaders": data.get("allowed_response_headers") or [],
        "auditNonHmacRequestKeys": data.get("audit_non_hmac_request_keys") or [],
        "auditNonHmacResponseKeys": data.get("audit_non_hmac_response_keys") or [],
        "passthroughRequestHeaders": data.get("passthrough_request_headers") or [],
        "defaultLeaseTtl": duration(data.get("default_lease_ttl")),
        "maxLeaseTtl": duration(data.get("max_lease_ttl")),
        "listingVisibility": data.get("listing_visibility") or "",
        "tokenType": data.get("token_type") or "",
    }
    if known:
        for name in ("defaultLeaseTtl", "maxLeaseTtl"):
            tune[name] = known.get(name) or ""
        for name in ("listingVisibility", "tokenType"):
            tune[name] = tune[name] if known.get(name) else ""
    return tune


def duration(seconds: Any) -> str:
    """`3600` → `1h`, `200` → `3m20s`."""
    rest = int(seconds or 0)
    text = ""
    for unit, length in (("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        text += f"{count}{unit}" if count else ""
    return text or "0"


class AuditKind(EndpointKind):
    """An audit device: it can only be listed, and never changed in place."""

    def create(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Enable it; raises ResourceError."""
        path = str(inputs.get("path") or inputs["type"]).strip("/")
        body: dict[str, Any] = {n: inputs[n] for n in (*_ENABLED, "options") if n in inputs}
        self.write(f"sys/audit/{path}", body, inputs)
        return path, self.known(path, inputs)

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The device's entry in the list."""
        answer = self.client.get("sys/audit", namespace=known.get("namespace")) or {}
        entry: Mapping[str, Any] | None = (answer.get("data") or {}).get(f"{identifier}/")
        return entry

    def parts(self, identifier: str) -> dict[str, Any]:
        """The id is the path."""
        return {"path": identifier}


class RequestHeaderKind(EndpointKind):
    """A header that goes into the audit log; Vault answers with the header's name as the key."""

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The header's settings."""
        try:
            answer = self.client.get(fill(self.spec.path, {"name": identifier})) or {}
        except VaultError as error:
            if error.status == http.client.BAD_REQUEST:
                return None
            raise
        for name, entry in (answer.get("data") or answer).items():
            if name.lower() == identifier.lower() and isinstance(entry, dict):
                return entry
        return None
