"""Component: a CA that signs users' SSH keys for a short while."""

from __future__ import annotations

import pulumi
import pulumi_vault as vault

from infra.cluster.vault import VaultCluster
from infra.engine_settings import SshSettings


class Ssh(pulumi.ComponentResource):
    """Role `user` signs for the stack's accounts alone, with a terminal and no forwarding."""

    def __init__(
        self,
        name: str,
        cluster: VaultCluster,
        settings: SshSettings,
        *,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rotation-drills:engine:Ssh", name, None, opts)
        mount = vault.Mount(
            f"{name}-mount",
            path=name,
            type="ssh",
            description="short SSH certificates",
            opts=cluster.options(self),
        )
        authority = vault.ssh.SecretBackendCa(
            f"{name}-ca",
            backend=mount.path,
            generate_signing_key=True,
            key_type="ed25519",
            opts=cluster.options(self),
        )
        vault.ssh.SecretBackendRole(
            f"{name}-user",
            backend=mount.path,
            name="user",
            key_type="ca",
            allow_user_certificates=True,
            allowed_users=",".join(settings.users),
            default_user=settings.users[0],
            allowed_extensions="permit-pty",
            default_extensions={"permit-pty": ""},
            algorithm_signer="default",
            ttl=str(settings.ttl),
            max_ttl=str(settings.ttl),
            opts=cluster.options(self, depends_on=[authority]),
        )
        self.register_outputs({})
