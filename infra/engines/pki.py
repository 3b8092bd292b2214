"""Component: a root CA that signs one intermediate, and the intermediate that signs the rest."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_vault as vault

from infra.cluster.vault import VaultCluster
from infra.engine_settings import PkiSettings

_DAY = 86400
ROOT_TTL = 3650 * _DAY
INTERMEDIATE_TTL = 365 * _DAY
_EC: dict[str, Any] = {"key_type": "ec", "key_bits": 256}


class Pki(pulumi.ComponentResource):
    """`pki-root` has no role, so nothing but the intermediate can be signed by it; `pki` has the
    role `server` for short certificates of the stack's names. Both keys stay in Vault."""

    def __init__(
        self,
        name: str,
        cluster: VaultCluster,
        settings: PkiSettings,
        *,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rotation-drills:engine:Pki", name, None, opts)
        root = vault.Mount(
            f"{name}-root",
            path=f"{name}-root",
            type="pki",
            description="signs the intermediate CA alone",
            max_lease_ttl_seconds=ROOT_TTL,
            opts=cluster.options(self),
        )
        root_cert = vault.pkisecret.SecretBackendRootCert(
            f"{name}-root-cert",
            backend=root.path,
            type="internal",
            common_name=f"{pulumi.get_stack()} root",
            ttl=str(ROOT_TTL),
            opts=cluster.options(self),
            **_EC,
        )
        mount = vault.Mount(
            f"{name}-mount",
            path=name,
            type="pki",
            description="short certificates",
            default_lease_ttl_seconds=settings.ttl,
            max_lease_ttl_seconds=INTERMEDIATE_TTL,
            opts=cluster.options(self),
        )
        request = vault.pkisecret.SecretBackendIntermediateCertRequest(
            f"{name}-request",
            backend=mount.path,
            type="internal",
            common_name=f"{pulumi.get_stack()} intermediate",
            opts=cluster.options(self),
            **_EC,
        )
        signed = vault.pkisecret.SecretBackendRootSignIntermediate(
            f"{name}-signed",
            backend=root.path,
            csr=request.csr,
            common_name=f"{pulumi.get_stack()} intermediate",
            ttl=str(INTERMEDIATE_TTL),
            max_path_length=0,
            opts=cluster.options(self, depends_on=[root_cert]),
        )
        chain = vault.pkisecret.SecretBackendIntermediateSetSigned(
            f"{name}-chain",
            backend=mount.path,
            certificate=signed.certificate_bundle,
            opts=cluster.options(self),
        )
        vault.pkisecret.SecretBackendRole(
            f"{name}-server",
            backend=mount.path,
            name="server",
            allowed_domains=settings.domains,
            allow_bare_domains=True,
            allow_subdomains=True,
            allow_localhost=False,
            allow_ip_sans=False,
            key_type="ec",
            key_bits=256,
            ttl=str(settings.ttl),
            max_ttl=str(settings.ttl),
            no_store=True,  # a short certificate is not revoked, it ends
            opts=cluster.options(self, depends_on=[chain]),
        )
        self.register_outputs({})
