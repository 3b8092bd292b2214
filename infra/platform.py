"""`Platform`: the stack's outputs, and the only thing `drills` and `loadtests` know of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VaultNode(_Part):
    """One Vault server: where it answers itself, and where the fault proxy answers for it."""

    name: str
    address: str = Field(description="https URL of the node itself")
    proxied_address: str = Field(description="https URL through the fault proxy; what services use")


class Vault(_Part):
    """The cluster as a client sees it, plus what an undo needs to bring a node back."""

    nodes: list[VaultNode] = Field(min_length=1)
    ca_pem: str
    audit_logs: list[Path] = Field(
        description="file audit devices, on this machine; empty where they can't be read from here"
    )
    database_mount: str
    operator_token: SecretStr = Field(description="policy drill-operator: what the faults need")
    unseal_keys: list[SecretStr] = Field(description="empty where the cluster unseals itself")


class Postgres(_Part):
    """The database: `host`/`port` is the server, `proxied_*` is what services connect to."""

    host: str
    port: int
    proxied_host: str
    proxied_port: int
    database: str
    ca_pem: str
    observer_username: str
    observer_password: SecretStr = Field(description="pg_monitor: reads roles and sessions")


class AppRole(_Part):
    """How the service logs in to Vault."""

    mount: str
    role_id: str
    secret_id: SecretStr


class StaticRole(_Part):
    """A login that stays while Vault rotates its password: <database_mount>/static-creds/<role>."""

    role: str
    username: str
    rotation_period_seconds: int


class Application(_Part):
    """One application behind the platform, with its dynamic roles; how it logs in is not said."""

    name: str
    role: str = Field(description="read-write dynamic role: <database_mount>/creds/<role>")
    read_only_role: str
    database: str = Field(default="shop", description="the Postgres database of its schema")
    secrets: list[str] = Field(default=[], description="its paths in the key-value engine")
    default_ttl_seconds: int
    max_ttl_seconds: int
    static: StaticRole | None = None


class Service(Application):
    """An application that logs in by AppRole: drills can load it."""

    auth: AppRole


class Workload(Application):
    """An application with an identity of its own, by one of the methods `jwt`, `kubernetes`,
    `cert`; its role in the method has its own name."""

    method: Literal["jwt", "kubernetes", "cert"]
    mount: str
    service_account: str | None = Field(default=None, description="of method kubernetes")


class ApiKey(_Part):
    """A key of a third party, which its owner rotates by hand."""

    path: str
    owner: str
    rotate_by: date


class DrillWindow(_Part):
    """When drills may run, in UTC; `start` and `end` as HH:MM. One that ends before it begins goes
    over midnight."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]]
    start: str
    end: str


class Drills(_Part):
    """Whether, and where, drills may be run against this stack."""

    allowed: bool
    window: DrillWindow | None = None
    state_dir: Path = Field(description="undo log and lock of the drills, on this machine")


class Cluster(_Part):
    """Which driver runs the nodes, and where it keeps what it needs to reach them."""

    driver: Literal["local", "docker", "kubernetes", "external"]
    state_dir: Path


class Proxy(_Part):
    """The fault proxy (Toxiproxy) between service and Vault, service and Postgres, Vault and
    Postgres. Proxy names: `vault-1`… for the nodes, `postgres`, `vault-to-postgres`."""

    api: str = Field(description="empty where there is none: then proxied addresses are direct")


class Platform(_Part):
    """Every output of a stack. Validates `pulumi stack output --json --show-secrets`."""

    stack: str
    cluster: Cluster
    vault: Vault
    postgres: Postgres
    proxy: Proxy
    services: list[Service]
    workloads: list[Workload] = []
    api_keys: list[ApiKey] = []
    drills: Drills

    def service(self, name: str) -> Service:
        """Return the service called `name`; `KeyError` names those that exist."""
        for service in self.services:
            if service.name == name:
                return service
        known = ", ".join(service.name for service in self.services)
        raise KeyError(f"stack {self.stack} has no service {name!r}; it has: {known}")
