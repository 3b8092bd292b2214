"""The configuration of one application."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from infra.config_types import Duration, Part

#: The database that a service is in unless it says another.
DEFAULT_DATABASE = "shop"
_IDENTIFIER = r"^[a-z][a-z0-9_]{0,62}$"

Privilege = Literal["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]


def _network(value: str) -> str:
    return str(ip_network(value))


Cidr = Annotated[str, AfterValidator(_network)]


class StaticSettings(Part):
    """A login that stays while its password rotates: for clients that can't take a lease."""

    username: str = Field(pattern=_IDENTIFIER, description="the login's name in Postgres")
    rotation_period: Duration = Field(
        alias="rotationPeriod", ge=5, description="how often Vault sets another password"
    )


class AppRoleLogin(Part):
    """A role id and a secret id, for what has no identity of its own."""

    method: Literal["approle"] = "approle"
    cidrs: list[Cidr] = Field(
        default=[], description="networks that the secret id and its tokens are good in"
    )


class JwtLogin(Part):
    """A token that an OIDC issuer signed, such as a pipeline's."""

    method: Literal["jwt"]
    subject: str = Field(min_length=1, description="the `sub` claim, whole")
    audience: str = Field(min_length=1, description="the `aud` claim that must be there")


class KubernetesLogin(Part):
    """A pod's service account."""

    method: Literal["kubernetes"]
    namespace: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    service_account: str = Field(
        alias="serviceAccount", pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
    )


class CertificateLogin(Part):
    """A client certificate that the stack's `auth.cert` CA signed."""

    method: Literal["cert"]
    common_name: str = Field(
        alias="commonName", pattern=r"^[A-Za-z0-9._-]+$", description="whole, no wildcard"
    )


Login = Annotated[
    AppRoleLogin | JwtLogin | KubernetesLogin | CertificateLogin, Field(discriminator="method")
]


def _five_ttls(data: dict[str, Any]) -> int:
    return 5 * int(data["ttl"])


class ServiceSettings(Part):
    """One application: its name is also its schema and the stem of its roles."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")
    database: str = Field(
        default=DEFAULT_DATABASE, pattern=_IDENTIFIER, description="made if it is not there"
    )
    privileges: list[Privilege] = Field(
        default=["SELECT", "INSERT", "UPDATE", "DELETE"],
        min_length=1,
        description="of the read-write role, on every table of the service's schema",
    )
    ttl: Duration = Field(gt=0, description="how long a credential lives unless it is renewed")
    max_ttl: Duration = Field(
        alias="maxTtl",
        default_factory=_five_ttls,
        description="how long at most; five times `ttl` when left out",
    )
    auth: Login = Field(
        default_factory=AppRoleLogin, description="how it logs in to Vault; AppRole when left out"
    )
    secrets: list[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]] = Field(
        default=["config"],
        description="secret types it may read: secret/<environment>/<service>/<secret-type>",
    )
    static: StaticSettings | None = Field(default=None, description="a login that stays")

    @model_validator(mode="after")
    def _ordered(self) -> ServiceSettings:
        if self.ttl > self.max_ttl:
            raise ValueError(f"ttl ({self.ttl} s) is longer than maxTtl ({self.max_ttl} s)")
        return self
