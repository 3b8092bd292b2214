"""The stack's configuration, typed: `Pulumi.<stack>.yaml` is all that tells stacks apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pulumi
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from infra import config_keys
from infra.cluster.settings import External, Kubernetes, SecretSource, SourceError
from infra.config_types import Part
from infra.engine_settings import (
    ApiKeySettings,
    AuthSettings,
    DrillWindow,
    EngineSettings,
    LeaseLimits,
    RateLimit,
)
from infra.service_settings import ServiceSettings


def _given(value: Any) -> Any:
    """Pulumi.yaml can't leave a typed key without default, so an empty object stands for none."""
    return value or None


class Settings(Part):
    """Everything that a stack's configuration file may say."""

    production: bool = Field(
        default=False, description="stricter rules: drills only in a window, short leases"
    )
    driver: Literal["local", "docker", "kubernetes", "external"] = Field(
        default="local", description="how servers run"
    )
    external: Annotated[External | None, BeforeValidator(_given)] = Field(
        default=None, description="servers that run already; of drivers external and kubernetes"
    )
    kubernetes: Annotated[Kubernetes | None, BeforeValidator(_given)] = Field(
        default=None, description="read by driver kubernetes alone"
    )
    unseal: Literal["shamir", "transit"] = Field(
        default="shamir", description="by keys, or by a small transit Vault of the stack's own"
    )
    nodes: int = Field(default=3, ge=1, le=7, description="of Vault; odd")
    base_port: int = Field(
        default=28200, alias="basePort", ge=1024, le=65485, description="first of 50 ports"
    )
    services: list[ServiceSettings] = Field(min_length=1, description="the applications")
    lease_limits: LeaseLimits = Field(
        default_factory=LeaseLimits, alias="leaseLimits", description="no service goes over them"
    )
    rate_limit: RateLimit = Field(
        default_factory=RateLimit, alias="rateLimit", description="of each client address"
    )
    auth: AuthSettings = Field(
        default_factory=AuthSettings, description="auth methods beside AppRole"
    )
    engines: EngineSettings = Field(
        default_factory=EngineSettings, description="secrets engines beside database and KV"
    )
    api_keys: list[ApiKeySettings] = Field(
        default=[], alias="apiKeys", description="keys of third parties, with owner and date"
    )
    drills_allowed: bool = Field(
        default=False, alias="allowed", description="whether drills may run on this stack"
    )
    drill_window: Annotated[DrillWindow | None, BeforeValidator(_given)] = Field(
        default=None, alias="window", description="when they may; left out: at any time"
    )

    @model_validator(mode="after")
    def _odd(self) -> Settings:
        if self.nodes % 2 == 0:
            raise ValueError(
                f"nodes: {self.nodes} nodes survive no more than one fewer: odd, please"
            )
        return self

    @model_validator(mode="after")
    def _driver_has_its_part(self) -> Settings:
        readers = {"external": ("external", "kubernetes"), "kubernetes": ("kubernetes",)}
        for key, drivers in readers.items():
            there = getattr(self, key) is not None
            if self.driver in drivers and not there:
                raise ValueError(f"{key}: driver {self.driver} needs it: see docs/drivers.md")
            if there and self.driver not in drivers:
                raise ValueError(f"{key}: driver {self.driver} does not read it; take it out")
        if self.driver != "local" and self.unseal == "transit":
            raise ValueError(f"unseal: transit is of driver local; {self.driver} has shamir")
        return self

    @model_validator(mode="after")
    def _names_are_one_each(self) -> Settings:
        logins = [f"{each.name}{end}" for each in self.services for end in ("_ro", "_rw")]
        logins += [each.static.username for each in self.services if each.static]
        for what, names in (
            ("name", [each.name for each in self.services]),
            ("name in Postgres", logins),
        ):
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ValueError(f"services: the {what} {twice[0]} is there twice")
        return self

    @model_validator(mode="after")
    def _leases_are_within_limits(self) -> Settings:
        for each in self.services:
            for key, value, limit in (
                ("ttl", each.ttl, self.lease_limits.ttl),
                ("maxTtl", each.max_ttl, self.lease_limits.max_ttl),
            ):
                if value > limit:
                    raise ValueError(
                        f"services: {key} of {each.name} ({value} s) is over leaseLimits.{key} "
                        f"({limit} s)"
                    )
        return self

    @model_validator(mode="after")
    def _what_is_named_is_there(self) -> Settings:
        names = [each.name for each in self.services]
        for each in self.services:
            method = each.auth.method
            if method != "approle" and getattr(self.auth, method) is None:
                raise ValueError(
                    f"services: {each.name} logs in by {method}, and auth.{method} is not there"
                )
        for key in self.api_keys:
            if key.service not in names:
                raise ValueError(f"apiKeys: {key.name}: there is no service {key.service}")
        return self

    @model_validator(mode="after")
    def _production_is_drilled_in_a_window(self) -> Settings:
        if self.production and self.drills_allowed and self.drill_window is None:
            raise ValueError("drills:allowed on a production stack needs drills:window")
        return self

    @property
    def node_names(self) -> list[str]:
        """The names of the Vault nodes, as raft knows them."""
        if self.external is not None:
            return [node.name for node in self.external.vault.nodes]
        return [f"vault-{index + 1}" for index in range(self.nodes)]

    @property
    def servers(self) -> list[str]:
        """Who needs a certificate of the stack's own authority."""
        if self.external is not None:
            return []
        return [*self.node_names, *(["seal"] if self.unseal == "transit" else []), "postgres"]

    @property
    def ports(self) -> Ports:
        """The ports of a local stack."""
        return Ports(self.base_port, len(self.node_names))


class Ports:
    """Who listens where on 127.0.0.1: 50 ports from the base on."""

    def __init__(self, base: int, nodes: int) -> None:
        self.nodes = [base + 2 * index for index in range(nodes)]  # and one above each: raft
        self.vault_front = base + 15
        self.seal = base + 16  # and the one above
        self.postgres = base + 20
        self.proxy_api = base + 30
        self.proxied_nodes = [base + 31 + index for index in range(nodes)]
        self.proxied_postgres = base + 40
        self.vault_to_postgres = base + 41


class ConfigError(pulumi.RunError):
    """A key or value of the stack's configuration is wrong; one line that names file and key."""


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the object under `config:` in `Pulumi.<stack>.yaml`."""
    return config_keys.schema(Settings)


def parse(stack: str, raw: dict[str, Any]) -> Settings:
    """Return the settings in `raw` (full key → value); raise `ConfigError` naming file and key."""
    file = f"Pulumi.{stack}.yaml"
    full_names = {
        config_keys.full_name(field.alias or name): field.alias or name
        for name, field in Settings.model_fields.items()
    }
    values: dict[str, Any] = {}
    for full, value in raw.items():
        if full.partition(":")[0] not in config_keys.NAMESPACES:
            continue  # another package's, such as pulumi:disable-default-providers
        if full not in full_names:
            words = config_keys.no_such_key(full, list(full_names))
            raise ConfigError(f"{file}: {full}: {words}")
        values[full_names[full]] = value
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{file}: {config_keys.complaint(Settings, error)}") from None


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def load() -> Settings:
    """Return the settings of the stack that Pulumi runs."""
    from pulumi.runtime.config import CONFIG  # noqa: PLC0415 - only a running program has one

    raw = {key: _decoded(value) for key, value in (CONFIG.get() or {}).items()}
    return parse(pulumi.get_stack(), raw)


def given_file(key: str, path: Path) -> Path:
    """Return a file that the configuration names, found from the project's folder.

    Raises `ConfigError` that names `key` when it can't be read.
    """
    found = Path(pulumi.get_root_directory()) / path.expanduser()
    try:
        found.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"Pulumi.{pulumi.get_stack()}.yaml: rotation-drills:{key}: {path} can't be read "
            f"({type(error).__name__})"
        ) from None
    return found.resolve()


def read_secret(key: str, source: SecretSource) -> str:
    """Return a secret that the configuration points at; `ConfigError` names `key` and the place."""
    try:
        return source.read()
    except SourceError as error:
        raise ConfigError(
            f"Pulumi.{pulumi.get_stack()}.yaml: rotation-drills:{key}: {error}"
        ) from None


def state_dir() -> Path:
    """Return where the stack's servers keep their files: `<project>/.state/stacks/<stack>`."""
    return Path(pulumi.get_root_directory()).resolve() / ".state" / "stacks" / pulumi.get_stack()
