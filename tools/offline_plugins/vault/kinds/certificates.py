"""PKI certificates: made once, kept in the state, hardly ever read back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from tools.offline_plugins.vault.client import VaultError
from tools.offline_plugins.vault.endpoint import EndpointKind, fill

_TOLD = [
    "caChains",
    "certificate",
    "csr",
    "importedIssuers",
    "importedKeys",
    "issuerId",
    "issuingCa",
    "keyId",
    "privateKey",
    "privateKeyType",
    "serialNumber",
]
_FIELDS = {"caChains": "ca_chain"}


class MadeOnceKind(EndpointKind):
    """Whatever is made by one call whose answer is the only account of it."""

    def create(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make it; raises ResourceError."""
        answer = self.write(self.path(inputs), self.body(inputs), inputs)
        data = answer.get("data") or {}
        state = self.gather("", {**inputs, **self.told(data)}) or {}
        return self.identify({**inputs, **state}, answer), state

    def read(self, identifier: str, olds: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """The state as it was: Vault is not asked."""
        return identifier, dict(olds)

    def update(self, identifier: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        """Only what needs no call can change."""
        return {**olds, **{name: news.get(name) for name in self.schema.inputs}}

    def identify(self, inputs: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
        """The id's template; `{uuid}` in it is made anew."""
        return fill(self.spec.identifier, {**inputs, "uuid": str(uuid.uuid4())})

    def body(
        self, inputs: Mapping[str, Any], olds: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What is sent: lists as text, as this part of the API wants them."""
        body = super().body(inputs, olds)
        return {n: ",".join(v) if isinstance(v, list) else v for n, v in body.items()}

    def gather(self, identifier: str, known: Mapping[str, Any]) -> dict[str, Any] | None:
        """The state: what was given and what was told."""
        return {n: known.get(n, self.spec.kept.get(n)) for n in self.schema.outputs}

    def told(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs in the answer."""
        outputs = {}
        for name in _TOLD:
            field = _FIELDS.get(name, self.spec.field(name))
            if name in self.schema.outputs and field in data:
                outputs[name] = data[field]
        for name in ("importedIssuers", "importedKeys"):
            if name in self.schema.outputs:
                outputs[name] = data.get(self.spec.field(name)) or []
        if "certificateBundle" in self.schema.outputs:
            parts = [data.get("certificate") or "", data.get("issuing_ca") or ""]
            outputs["certificateBundle"] = "\n".join(parts)
        return outputs


class RootKind(MadeOnceKind):
    """A root certificate: gone when its issuer is."""

    def read(self, identifier: str, olds: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """The state as it was, as long as the issuer is there."""
        try:
            found = self.client.get(identifier, namespace=olds.get("namespace"))
        except VaultError as error:
            if any("unable to find" in reason or "no handler" in reason for reason in error.errors):
                return None
            raise
        return None if found is None else (identifier, dict(olds))

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """Delete the engine's issuers and keys, as the published plugin does."""
        backend = str(olds.get("backend") or identifier.partition("/issuer/")[0]).strip("/")
        self.client.delete(f"{backend}/root", namespace=olds.get("namespace"))


class SignedKind(MadeOnceKind):
    """A signed intermediate: revoked when it goes, if the program wants that."""

    def path(self, values: Mapping[str, Any]) -> str:
        """By the default issuer, or by the given one."""
        backend, issuer = str(values["backend"]).strip("/"), values.get("issuerRef")
        return f"{backend}/issuer/{issuer}/sign-intermediate" if issuer else super().path(values)

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """Revoke it, or forget it."""
        if olds.get("revoke"):
            body = {"serial_number": olds.get("serialNumber")}
            self.write(f"{str(olds['backend']).strip('/')}/revoke", body, olds)
