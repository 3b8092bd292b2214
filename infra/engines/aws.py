"""Component: short credentials of AWS by assuming a role."""

from __future__ import annotations

import pulumi
import pulumi_vault as vault

from infra.cluster.vault import VaultCluster
from infra.engine_settings import AwsSettings


class Aws(pulumi.ComponentResource):
    """Vault assumes each role with its own instance profile: the stack holds no key of AWS."""

    def __init__(
        self,
        name: str,
        cluster: VaultCluster,
        settings: AwsSettings,
        *,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rotation-drills:engine:Aws", name, None, opts)
        mount = vault.aws.SecretBackend(
            f"{name}-mount",
            path=name,
            region=settings.region,
            description="short credentials of AWS",
            default_lease_ttl_seconds=settings.ttl,
            max_lease_ttl_seconds=settings.ttl,
            opts=cluster.options(self),
        )
        for role in settings.roles:
            vault.aws.SecretBackendRole(
                f"{name}-{role.name}",
                backend=mount.path.apply(str),
                name=role.name,
                credential_type="assumed_role",
                role_arns=[role.role_arn],
                default_sts_ttl=settings.ttl,
                max_sts_ttl=settings.ttl,
                opts=cluster.options(self),
            )
        self.register_outputs({})
