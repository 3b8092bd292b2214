"""The configuration of what a stack holds beside the database engine."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from infra.config_types import Duration, Part

_NAME = r"^[a-z][a-z0-9-]{0,62}$"
_DNS = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


class PkiSettings(Part):
    """An intermediate CA that signs short certificates."""

    domains: list[Annotated[str, Field(pattern=_DNS)]] = Field(
        min_length=1, description="names that certificates may have, and names below them"
    )
    ttl: Duration = Field(default=86400, description="of a certificate; 1d when left out")


class SshSettings(Part):
    """A CA that signs SSH keys of users."""

    users: list[Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]] = Field(
        min_length=1, description="accounts that a certificate may be for"
    )
    ttl: Duration = Field(default=1800, description="of a certificate; 30m when left out")


class TransitSettings(Part):
    """Encryption as a service: keys that never leave Vault."""

    keys: list[Annotated[str, Field(pattern=_NAME)]] = Field(min_length=1)
    rotate_every: Duration = Field(
        default=30 * 86400, alias="rotateEvery", ge=3600, description="30d when left out"
    )


class AwsRole(Part):
    """What a caller may assume."""

    name: str = Field(pattern=_NAME)
    role_arn: str = Field(alias="roleArn", pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/\S+$")


class AwsSettings(Part):
    """Short credentials of AWS. Vault uses its own instance profile or environment: no key here."""

    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    roles: list[AwsRole] = Field(min_length=1)
    ttl: Duration = Field(default=3600, ge=900, description="1h when left out; AWS gives 15m least")


class EngineSettings(Part):
    """Secrets engines that a stack asks for; one that is left out is not mounted."""

    pki: PkiSettings | None = None
    ssh: SshSettings | None = None
    transit: TransitSettings | None = None
    aws: AwsSettings | None = None


class ApiKeySettings(Part):
    """A key of a third party that has no dynamic form. Its owner writes the value, not Pulumi."""

    name: str = Field(pattern=_NAME, description="its secret type")
    service: str = Field(description="the service that reads it")
    owner: str = Field(min_length=1, description="who rotates it")
    rotate_by: date = Field(alias="rotateBy", description="the day after which it is overdue")


class JwtMethod(Part):
    """Auth method `jwt`: whose signatures are good, by discovery or by key."""

    issuer: str = Field(pattern=r"^https://\S+$", description="the `iss` claim, whole")
    public_keys: list[str] = Field(
        default=[],
        alias="publicKeys",
        description="PEM; left out, the issuer's discovery document is asked",
    )


class KubernetesMethod(Part):
    """Auth method `kubernetes`: the cluster whose service accounts log in."""

    host: str = Field(pattern=r"^https://\S+$", description="the API server")
    ca_cert: str = Field(alias="caCert", min_length=1, description="PEM of the API server's CA")


class CertificateMethod(Part):
    """Auth method `cert`: the CA whose client certificates log in."""

    ca_cert: str = Field(alias="caCert", min_length=1, description="PEM")


class AuthSettings(Part):
    """Auth methods beside AppRole; one that is left out is not enabled."""

    jwt: JwtMethod | None = None
    kubernetes: KubernetesMethod | None = None
    cert: CertificateMethod | None = None


class LeaseLimits(Part):
    """What no service of the stack may go over."""

    ttl: Duration = Field(default=3600, description="1h when left out")
    max_ttl: Duration = Field(default=86400, alias="maxTtl", description="1d when left out")


class RateLimit(Part):
    """Requests that one client address may make of one node."""

    per_second: int = Field(default=2000, alias="perSecond", ge=1)
    block: Duration = Field(
        default=0,
        description="how long a client over the limit is refused altogether; 0s: not at all",
    )


class DrillWindow(Part):
    """When drills may run, in UTC. A window that ends before it begins goes over midnight."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(min_length=1)
    start: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    end: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")

    @model_validator(mode="after")
    def _not_empty(self) -> DrillWindow:
        if self.start == self.end:
            raise ValueError(f"start and end are both {self.start}: an empty window")
        return self
