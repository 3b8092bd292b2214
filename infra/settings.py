"""The stack's configuration, typed: `Pulumi.<stack>.yaml` is all that tells stacks apart."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pulumi
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from infra.cluster.settings import External, SecretSource, SourceError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: Any) -> int:
    found = re.fullmatch(r"(\d+)([smhd])", str(value))
    if not found:
        raise ValueError(
            f"{value!r} is not a duration: give a number with its unit, such as 60s, 5m"
        )
    return int(found.group(1)) * _UNITS[found.group(2)]


def _given(value: Any) -> Any:
    """Pulumi.yaml must give every key a default; an empty object means: not given."""
    return value or None


Duration = Annotated[int, BeforeValidator(_seconds)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StaticSettings(_Part):
    """A login that stays while its password rotates: for clients that can't take a lease."""

    username: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    rotation_period: Duration = Field(alias="rotationPeriod", ge=5)


class ServiceSettings(_Part):
    """One application: its name is also its schema and the stem of its roles."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")
    ttl: Duration
    max_ttl: Duration = Field(alias="maxTtl")
    static: StaticSettings | None = None

    @model_validator(mode="after")
    def _ordered(self) -> ServiceSettings:
        if self.ttl > self.max_ttl:
            raise ValueError(f"ttl ({self.ttl} s) is longer than maxTtl ({self.max_ttl} s)")
        return self


class Settings(_Part):
    """Everything that a stack's configuration file may say."""

    driver: Literal["local", "external"] = "local"
    external: Annotated[External | None, BeforeValidator(_given)] = None
    unseal: Literal["shamir", "transit"] = "shamir"
    nodes: int = Field(default=3, ge=1, le=7)
    base_port: int = Field(default=28200, alias="basePort", ge=1024, le=65485)
    services: list[ServiceSettings] = Field(min_length=1)
    drills_allowed: bool = Field(default=False, alias="allowed")

    @model_validator(mode="after")
    def _odd(self) -> Settings:
        if self.nodes % 2 == 0:
            raise ValueError(
                f"nodes: {self.nodes} nodes survive no more than one fewer: odd, please"
            )
        return self

    @model_validator(mode="after")
    def _driver_has_its_part(self) -> Settings:
        if self.driver == "external" and self.external is None:
            raise ValueError("external: driver external needs to know the servers' addresses")
        if self.driver != "external" and self.external is not None:
            raise ValueError(f"external: driver {self.driver} does not read it; take it out")
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


_KEYS = {
    "rotation-drills": {"driver", "external", "unseal", "nodes", "basePort", "services"},
    "drills": {"allowed"},
}


def parse(stack: str, raw: dict[str, Any]) -> Settings:
    """Return the settings in `raw` (full key → value); raise `ConfigError` naming file and key."""
    file = f"Pulumi.{stack}.yaml"
    values: dict[str, Any] = {}
    for full, value in raw.items():
        namespace, _, key = full.partition(":")
        if namespace not in _KEYS:
            continue  # another package's, such as pulumi:disable-default-providers
        if key not in _KEYS[namespace]:
            known = ", ".join(f"{namespace}:{name}" for name in sorted(_KEYS[namespace]))
            raise ConfigError(f"{file}: {full}: there is no such key; known are {known}")
        values[key] = value
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        namespace = "drills" if where == "allowed" else "rotation-drills"
        place = f"{namespace}:{where}: " if where else ""
        raise ConfigError(f"{file}: {place}{first['msg'].removeprefix('Value error, ')}") from None


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
