"""The keys of `Pulumi.<stack>.yaml` that only one driver reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


class SourceError(Exception):
    """A secret is not where the configuration says. The message names the place, never more."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class SecretSource(_Part):
    """Where a secret is: in the variable `env`, or in the file `file` (its text, stripped)."""

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _one(self) -> SecretSource:
        if (self.env is None) == (self.file is None):
            raise ValueError("name either env (a variable) or file (a path)")
        return self

    def read(self) -> str:
        """Return the secret. Raises `SourceError` when it is not there, or empty."""
        if self.env is not None:
            value, place = os.environ.get(self.env, ""), f"the variable {self.env}"
        else:
            place = f"the file {self.file}"
            try:
                value = Path(str(self.file)).expanduser().read_text()
            except (OSError, UnicodeDecodeError) as error:
                raise SourceError(f"{place} can't be read ({type(error).__name__})") from None
        if not value.strip():
            raise SourceError(f"{place} is empty or not set")
        return value.strip()


class AppRoleLogin(_Part):
    """A login by AppRole at `mount`; only the secret id is secret."""

    mount: str = "approle"
    role_id: str = Field(alias="roleId")
    secret_id: SecretSource = Field(alias="secretId")


class VaultAuth(_Part):
    """How `pulumi up` gets a token with the rights of the policy `provisioner`."""

    token: SecretSource | None = None
    approle: AppRoleLogin | None = None

    @model_validator(mode="after")
    def _one(self) -> VaultAuth:
        if (self.token is None) == (self.approle is None):
            raise ValueError("name either token or approle")
        return self


def _https(value: str) -> str:
    if not value.startswith("https://"):
        raise ValueError(f"{value!r} is not an https:// URL: a Vault without TLS is not taken")
    return value.rstrip("/")


Address = Annotated[str, BeforeValidator(_https)]


class ExternalNode(_Part):
    """One Vault server that runs already, by the name that raft knows it by."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    address: Address


class ExternalVault(_Part):
    """A Vault that runs already: its nodes, and the one address that always answers."""

    nodes: list[ExternalNode] = Field(min_length=1)
    address: Address | None = None
    ca_file: Path = Field(alias="caFile")
    auth: VaultAuth
    guardrails: bool = Field(
        default=True, description="declare rate limit, quota headers and autopilot"
    )
    audit_dir: Path | None = Field(
        default=None, alias="auditDir", description="as Vault sees it; left out, none is declared"
    )
    audit_readable: bool = Field(
        default=False, alias="auditReadable", description="auditDir is on this machine too"
    )

    @property
    def front(self) -> str:
        """The address that `pulumi up` uses: the load balancer's, or the first node's."""
        return self.address or self.nodes[0].address


class ExternalPostgres(_Part):
    """A Postgres that runs already, and a login there that may make roles and databases."""

    host: str
    port: int = Field(default=5432, ge=1, le=65535)
    username: str = "postgres"
    password: SecretSource
    superuser: bool = True
    ca_file: Path = Field(alias="caFile")
    vault_host: str | None = Field(
        default=None, alias="vaultHost", description="as Vault reaches it, if by another name"
    )
    vault_port: int | None = Field(default=None, alias="vaultPort", ge=1, le=65535)


class External(_Part):
    """Driver `external`: both servers run already; the program declares what is in them."""

    vault: ExternalVault
    postgres: ExternalPostgres
    proxy: Literal[False, "here"] = Field(
        default=False,
        description="`here`: a fault proxy on this machine, for servers that run on it too",
    )


class AwsKms(_Part):
    """Auto-unseal by a key of AWS KMS; the pods' service account has the right to use it."""

    region: str
    key_id: str = Field(alias="keyId")
    role_arn: str | None = Field(default=None, alias="roleArn", description="of the pods' account")


class GcpCkms(_Part):
    """Auto-unseal by a key of Google Cloud KMS, with workload identity."""

    project: str
    region: str
    key_ring: str = Field(alias="keyRing")
    crypto_key: str = Field(alias="cryptoKey")
    service_account: str | None = Field(default=None, alias="serviceAccount")


class AzureKeyVault(_Part):
    """Auto-unseal by a key of Azure Key Vault, with workload identity."""

    tenant_id: str = Field(alias="tenantId")
    vault_name: str = Field(alias="vaultName")
    key_name: str = Field(alias="keyName")
    client_id: str | None = Field(default=None, alias="clientId")


class TransitUnseal(_Part):
    """Auto-unseal by the transit engine of another Vault; its token is in a Kubernetes secret."""

    address: Address
    key_name: str = Field(alias="keyName")
    mount: str = "transit"
    token_secret: str = Field(alias="tokenSecret", description="its key `token` is the token")


class Unsealing(_Part):
    """Who unseals the pods: one of these."""

    awskms: AwsKms | None = None
    gcpckms: GcpCkms | None = None
    azurekeyvault: AzureKeyVault | None = None
    transit: TransitUnseal | None = None

    @model_validator(mode="after")
    def _one(self) -> Unsealing:
        if sum(value is not None for _name, value in self) != 1:
            raise ValueError("name one of awskms, gcpckms, azurekeyvault, transit")
        return self


class Issuer(_Part):
    """Who signs the pods' certificate: an issuer of cert-manager."""

    name: str
    kind: Literal["Issuer", "ClusterIssuer"] = "ClusterIssuer"


class Kubernetes(_Part):
    """Driver `kubernetes`: the official Vault Helm chart, with raft over the cluster's zones."""

    namespace: str = "vault"
    chart_version: str = Field(default="0.31.0", alias="chartVersion")
    kubeconfig: Path | None = None
    context: str | None = None
    unseal: Unsealing
    issuer: Issuer | None = Field(default=None, description="cert-manager makes the certificate")
    tls_secret: str = Field(
        default="vault-tls", alias="tlsSecret", description="keys tls.crt, tls.key, ca.crt"
    )
    storage_class: str | None = Field(default=None, alias="storageClass")
    data_size: str = Field(default="10Gi", alias="dataSize")
    audit_size: str = Field(default="10Gi", alias="auditSize")
    service_monitor: bool = Field(default=False, alias="serviceMonitor")
    injector_replicas: int = Field(default=2, alias="injectorReplicas", ge=0)
