"""Auth methods and secrets engines that are a mount and a configuration in one resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.offline_plugins.server import ResourceError
from tools.offline_plugins.spec import snake, zero
from tools.offline_plugins.vault.endpoint import EndpointKind
from tools.offline_plugins.vault.kinds.mounts import AuthKind, MountKind, duration


class JwtKind(AuthKind):
    """A JWT or OIDC auth method: mount, tune block, configuration."""

    _MOUNT = frozenset(
        ["accessor", "description", "disableRemount", "local", "namespace", "path", "tune", "type"]
    )

    def configure(
        self, path: str, inputs: Mapping[str, Any], olds: Mapping[str, Any] | None
    ) -> None:
        """The tune block, then the whole configuration: Vault drops what is left out."""
        super().configure(path, inputs, olds)
        body = self.body({n: v for n, v in inputs.items() if n not in self._MOUNT}, olds)
        for name in self._MOUNT:
            body.pop(snake(name), None)
        self.write(f"auth/{path}/config", body, inputs)

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The mount's fields and the configuration's."""
        mount = super().fetch(identifier, known)
        if mount is None:
            return None
        path = mount["path"]
        answer = self.client.get(f"auth/{path}/config", namespace=known.get("namespace")) or {}
        return {**(answer.get("data") or {}), **mount}


class AwsKind(MountKind):
    """An AWS secrets engine: mount and root configuration."""

    def create(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Mount it and configure it; raises ResourceError, and then it is unmounted again."""
        path, _ = super().create({**inputs, "type": "aws"})
        try:
            self._configure(path, inputs, None)
        except ResourceError:
            self.client.delete(f"sys/mounts/{path}", namespace=inputs.get("namespace"))
            raise
        return path, self.known(path, inputs)

    def update(self, identifier: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        """Tune it, and configure it anew."""
        super().update(identifier, olds, news)
        path = str(news.get("path") or identifier).strip("/")
        self._configure(path, news, olds)
        return self.known(path, news)

    def _configure(
        self, path: str, inputs: Mapping[str, Any], olds: Mapping[str, Any] | None
    ) -> None:
        fields = {name: value for name, value in inputs.items() if self._is_root(name)}
        before = None
        if olds is not None:
            before = {name: value for name, value in olds.items() if self._is_root(name)}
        body = self.body(fields, before)
        self.write(f"{path}/config/root", body, inputs)

    def _is_root(self, name: str) -> bool:
        return name.startswith(
            ("accessKey", "secretKey", "region", "iam", "sts", "maxRetries", "username", "roleArn")
        ) or name.startswith(("identityTokenAudience", "identityTokenTtl", "rotation"))

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The mount's fields and the root configuration's."""
        mount = super().fetch(identifier, known)
        if mount is None:
            return None
        path = mount["path"]
        answer = self.client.get(f"{path}/config/root", namespace=known.get("namespace")) or {}
        return {**(answer.get("data") or {}), **mount}


class AwsRoleKind(EndpointKind):
    """An AWS role: Vault answers with a list of credential types."""

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The role's fields."""
        data = super().fetch(identifier, known)
        if data is None:
            return None
        types = data.get("credential_types") or [data.get("credential_type")]
        return {**data, "credential_type": types[0]}


class JwtRoleKind(EndpointKind):
    """A JWT role: a claim can be bound to several values, which travel as one text."""

    def body(
        self, inputs: Mapping[str, Any], olds: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What is sent."""
        body = super().body(inputs, olds)
        if not inputs.get("disableBoundClaimsParsing"):
            for name, text in (inputs.get("boundClaims") or {}).items():
                if "," in text:
                    body["bound_claims"] = {**body["bound_claims"], name: text.split(",")}
        return body

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The role's fields."""
        data = super().fetch(identifier, known)
        if data is None:
            return None
        claims = {
            name: ",".join(map(str, value)) if isinstance(value, list) else value
            for name, value in (data.get("bound_claims") or {}).items()
        }
        return {**data, "bound_claims": claims}


class SshCaKind(EndpointKind):
    """The CA of an SSH engine."""

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The public key; Vault answers 400 when there is none."""
        try:
            return super().fetch(identifier, known)
        except ResourceError as error:
            if "haven't been configured" in str(error) or "no handler for route" in str(error):
                return None
            raise


class SshRoleKind(EndpointKind):
    """An SSH role: the lengths of user keys are a map in the API and a list of blocks here."""

    def body(
        self, inputs: Mapping[str, Any], olds: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What is sent."""
        body = super().body(inputs, olds)
        blocks = body.pop("allowed_user_key_configs", None)
        if blocks is not None:
            body["allowed_user_key_lengths"] = {b["type"]: b["lengths"] for b in blocks}
        return body

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The role's fields."""
        data = super().fetch(identifier, known)
        if data is None:
            return None
        lengths = data.get("allowed_user_key_lengths") or {}
        blocks = [{"type": name, "lengths": value} for name, value in sorted(lengths.items())]
        return {**data, "allowed_user_key_configs": blocks}


class TransitKeyKind(EndpointKind):
    """A transit key: made with some of its properties, configured with the others."""

    _CONFIG = (
        "allowPlaintextBackup",
        "autoRotatePeriod",
        "deletionAllowed",
        "exportable",
        "minDecryptionVersion",
        "minEncryptionVersion",
    )
    _MADE = (
        "allowPlaintextBackup",
        "autoRotatePeriod",
        "context",
        "convergentEncryption",
        "derived",
        "exportable",
        "hybridKeyTypeEc",
        "hybridKeyTypePqc",
        "keySize",
        "managedKeyId",
        "managedKeyName",
        "parameterSet",
        "type",
    )

    def body(
        self, inputs: Mapping[str, Any], olds: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What is sent."""
        return {snake(name): inputs[name] for name in self._MADE if name in inputs}

    def create(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make it, then configure it; raises ResourceError."""
        self.write(self.path(inputs), self.body(inputs), inputs)
        identifier = self.identify(inputs, {})
        return identifier, self.update(identifier, {}, inputs)

    def update(self, identifier: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        """Configure it."""
        config: dict[str, Any] = {}
        for name in self._CONFIG:
            if name in news:
                config[snake(name)] = news[name]
            elif olds.get(name):
                config[snake(name)] = zero(self.schema.inputs[name])
        self.write(f"{identifier}/config", config, news)
        return self.known(identifier, news)

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The key's fields, its versions as a list."""
        data = super().fetch(identifier, known)
        if data is None:
            return None
        keys = [
            {"id": str(value)}
            if not isinstance(value, dict)
            else {"id": version, **{name: str(item) for name, item in value.items()}}
            for version, value in sorted((data.get("keys") or {}).items(), key=lambda k: int(k[0]))
        ]
        return {**data, "keys": keys}


class PkiRoleKind(EndpointKind):
    """A PKI role."""

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The role's fields."""
        data = super().fetch(identifier, known)
        if data is None:
            return None
        return {**data, "not_before_duration": duration(data.get("not_before_duration"))}
