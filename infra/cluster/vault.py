"""Component: the Vault cluster of a stack, by its driver, and the provider that talks to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pulumi
import pulumi_vault as vault

from infra.cluster.vault_servers import VaultServers
from infra.secret import secret
from infra.settings import Ports
from infra.tls import CertificateAuthority


@dataclass
class VaultClusterArgs:
    """Where the nodes live, and on which ports."""

    state_dir: Path
    ports: Ports
    authority: CertificateAuthority
    unseal: Literal["shamir", "transit"] = "shamir"


class VaultCluster(pulumi.ComponentResource):
    """Initialised, unsealed, with all its nodes voting; `provider` declares what is in it."""

    def __init__(
        self, name: str, args: VaultClusterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rotation-drills:cluster:VaultCluster", name, None, opts)
        self.node_names = [f"vault-{index + 1}" for index in range(len(args.ports.nodes))]
        self.addresses = [f"https://127.0.0.1:{port}" for port in args.ports.nodes]
        self.address = f"https://127.0.0.1:{args.ports.vault_front}"
        self.ca_file = str(args.state_dir / "vault" / "ca.pem")
        self.audit_dir = args.state_dir / "vault" / "audit"
        self.servers = VaultServers(
            f"{name}-servers",
            state_dir=str(args.state_dir),
            nodes=[
                {"name": node, "port": port}
                for node, port in zip(self.node_names, args.ports.nodes, strict=True)
            ],
            front_port=args.ports.vault_front,
            ca_pem=args.authority.ca_pem,
            certificates=args.authority.certificates,
            seal_port=args.ports.seal if args.unseal == "transit" else None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.provisioner_token = secret(self.servers.provisioner_token)
        self.provider = vault.Provider(
            f"{name}-provider",
            address=self.address,
            token=self.provisioner_token,
            ca_cert_file=self.ca_file,
            skip_child_token=True,  # what a child token creates dies with it
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.servers]),
        )
        self.register_outputs({})

    def options(self, parent: pulumi.Resource, **more: Any) -> pulumi.ResourceOptions:
        """Return the options of a resource in this Vault."""
        return pulumi.ResourceOptions(parent=parent, provider=self.provider, **more)
