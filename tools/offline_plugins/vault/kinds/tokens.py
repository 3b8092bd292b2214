"""Tokens and AppRole secret ids: made once, known afterwards by their accessor alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tools.offline_plugins.server import ResourceError
from tools.offline_plugins.spec import snake
from tools.offline_plugins.vault.client import VaultError
from tools.offline_plugins.vault.endpoint import EndpointKind, fill

_GONE = ("invalid accessor", "failed to find accessor entry", "bad token", "does not exist")
_ASKED = [
    "displayName",
    "explicitMaxTtl",
    "noDefaultPolicy",
    "noParent",
    "numUses",
    "period",
    "policies",
    "ttl",
]


def _gone(error: VaultError) -> bool:
    return error.status == 404 or any(s in reason for reason in error.errors for s in _GONE)


class TokenKind(EndpointKind):
    """A token; its id is its accessor."""

    def create(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make it, wrapped if wanted; raises ResourceError."""
        body = {snake(name): inputs[name] for name in _ASKED if name in inputs}
        body |= {"renewable": inputs["renewable"]} if "renewable" in inputs else {}
        body |= {"meta": inputs["metadata"]} if "metadata" in inputs else {}
        role = inputs.get("roleName")
        answer = self.client.call(
            "POST",
            f"auth/token/create/{role}" if role else "auth/token/create",
            body,
            namespace=inputs.get("namespace"),
            wrap_ttl=str(inputs.get("wrappingTtl") or ""),
        )
        if answer is None:
            raise ResourceError(f"{self.spec.resource}: Vault gave no token")
        known = dict(inputs)
        wrapped = answer.get("wrap_info")
        if wrapped:
            accessor = wrapped["wrapped_accessor"]
            known |= {"wrappedToken": wrapped["token"], "wrappingAccessor": wrapped["accessor"]}
        else:
            accessor = answer["auth"]["accessor"]
            known |= {"clientToken": answer["auth"]["client_token"]}
        return accessor, self.known(accessor, known)

    def read(self, identifier: str, olds: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """Look it up; renew it when less than `renewMinLease` is left."""
        state = self.gather(identifier, olds)
        if state is None:
            return None
        least = int(state.get("renewMinLease") or 0)
        if state["renewable"] and least > 0 and 0 < state["_left"] <= least:
            body: dict[str, Any] = {"accessor": identifier}
            body["increment"] = state.get("renewIncrement") or state["leaseDuration"]
            self.write("auth/token/renew-accessor", body, state)
            state = self.gather(identifier, olds)
        return None if state is None else (identifier, state)

    def update(self, identifier: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        """Only the renewal settings can change, and Vault doesn't hold them."""
        secret = {n: olds.get(n) for n in ("clientToken", "wrappedToken", "wrappingAccessor")}
        return self.known(identifier, {**news, **secret})

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """Revoke it, and with it what hangs on it."""
        try:
            self.write("auth/token/revoke-accessor", {"accessor": identifier}, olds)
        except VaultError as error:
            if not _gone(error):
                raise

    def gather(self, identifier: str, known: Mapping[str, Any]) -> dict[str, Any] | None:
        """What Vault knows of the token, and what only its creation told."""
        try:
            answer = self.write("auth/token/lookup-accessor", {"accessor": identifier}, known)
        except VaultError as error:
            if _gone(error):
                return None
            raise
        data = answer.get("data") or {}
        issued, expires = _moment(data.get("issue_time")), _moment(data.get("expire_time"))
        left = int((expires - datetime.now(UTC)).total_seconds()) if expires else 0
        given = {n: known.get(n) for n in self.schema.outputs}
        return given | {
            "displayName": str(data.get("display_name") or "").removeprefix("token-"),
            "leaseDuration": int((expires - issued).total_seconds()) if expires and issued else 0,
            "leaseStarted": issued.strftime("%Y-%m-%dT%H:%M:%SZ") if issued else "",
            "metadata": data.get("meta") or {},
            "noParent": bool(data.get("orphan")),
            "numUses": int(data.get("num_uses") or 0),
            "policies": [p for p in data.get("policies") or [] if p != "default"],
            "renewable": bool(data.get("renewable")),
            "_left": left,
        }


def _moment(text: Any) -> datetime | None:
    """Vault's time stamps have nanoseconds, which Python's can't hold."""
    if not text:
        return None
    whole = re.sub(r"(\.\d{6})\d+", r"\1", str(text))
    return datetime.fromisoformat(whole).astimezone(UTC)


class SecretIdKind(EndpointKind):
    """An AppRole secret id, known by its accessor."""

    def create(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make one, or push the given one; raises ResourceError."""
        role = fill(self.spec.path, inputs)
        body = self.body(inputs)
        body["metadata"] = inputs.get("metadata") or ""
        for name in ("cidr_list", "token_bound_cidrs"):
            if name in body:
                body[name] = ",".join(body[name])
        answer = self.client.call(
            "POST",
            f"{role}/{'custom-secret-id' if 'secretId' in inputs else 'secret-id'}",
            body,
            namespace=inputs.get("namespace"),
            wrap_ttl=str(inputs.get("wrappingTtl") or ""),
        )
        if answer is None:
            raise ResourceError(f"{self.spec.resource}: Vault gave no secret id")
        known = dict(inputs)
        wrapped = answer.get("wrap_info")
        if wrapped:
            accessor = wrapped["wrapped_accessor"]
            known |= {"wrappingToken": wrapped["token"], "wrappingAccessor": wrapped["accessor"]}
        else:
            accessor = answer["data"]["secret_id_accessor"]
            known |= {"secretId": answer["data"]["secret_id"]}
        identifier = fill(self.spec.identifier, {**inputs, "accessor": accessor})
        return identifier, self.known(identifier, known)

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """Destroy it."""
        parts = self.parts(identifier)
        path = f"{fill(self.spec.path, parts)}/secret-id-accessor/destroy"
        try:
            self.write(path, {"secret_id_accessor": parts.get("accessor")}, olds)
        except VaultError as error:
            if not _gone(error):
                raise

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What Vault knows of it; the secret id itself is told once only."""
        parts = self.parts(identifier)
        path = f"{fill(self.spec.path, parts)}/secret-id-accessor/lookup"
        try:
            answer = self.write(path, {"secret_id_accessor": parts.get("accessor")}, known)
        except VaultError as error:
            if _gone(error):
                return None
            raise
        data = dict(answer.get("data") or {})
        if not data:
            return None
        metadata = data.get("metadata") or {}
        data["metadata"] = json.dumps(metadata, sort_keys=True, separators=(",", ":"))
        # Without a ttl of its own it has its role's, which the published plugin takes for a change.
        data |= {"ttl": data.get("secret_id_ttl"), "num_uses": data.get("secret_id_num_uses")}
        return data
