"""Component: encryption as a service; the keys rotate by themselves and never leave Vault."""

from __future__ import annotations

import pulumi
import pulumi_vault as vault

from infra.cluster.vault import VaultCluster
from infra.engine_settings import TransitSettings


class Transit(pulumi.ComponentResource):
    """One key a name. It can't be exported; `destroy` may delete it, and with it what it
    encrypted becomes unreadable."""

    def __init__(
        self,
        name: str,
        cluster: VaultCluster,
        settings: TransitSettings,
        *,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rotation-drills:engine:Transit", name, None, opts)
        mount = vault.Mount(
            f"{name}-mount",
            path=name,
            type="transit",
            description="encryption as a service",
            opts=cluster.options(self),
        )
        for key in settings.keys:
            vault.transit.SecretBackendKey(
                f"{name}-{key}",
                backend=mount.path,
                name=key,
                type="aes256-gcm96",
                auto_rotate_period=settings.rotate_every,
                deletion_allowed=True,
                exportable=False,
                opts=cluster.options(self),
            )
        self.register_outputs({})
