"""Component: the Vault cluster of a stack, by its driver, and the provider that talks to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_vault as vault

from infra.cluster.external import VaultLogin
from infra.cluster.settings import ExternalVault
from infra.cluster.vault_servers import VaultServers
from infra.secret import secret
from infra.settings import Settings, given_file
from infra.tls import CertificateAuthority


@dataclass
class VaultClusterArgs:
    """The stack's settings, its folder, and who signs certificates for servers of its own."""

    config: Settings
    state_dir: Path
    authority: CertificateAuthority | None


class VaultCluster(pulumi.ComponentResource):
    """Initialised, unsealed, with all its nodes voting; `provider` declares what is in it.

    The same attributes whoever runs the nodes: `address` always answers, `ca_file` is on this
    machine, `audit_dir` is as Vault sees it (None: audit devices are not this stack's to declare),
    `audit_readable` says whether it is on this machine too, `guarded` whether limits are declared.
    """

    after: Sequence[pulumi.Resource] = ()
    audit_dir: Path | None
    ca_pem: pulumi.Input[str]
    unseal_keys: pulumi.Output[list[str]]

    def __init__(
        self, name: str, args: VaultClusterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rotation-drills:cluster:VaultCluster", name, None, opts)
        self.node_names = args.config.node_names
        if args.config.external is not None:
            entered = self._log_in(name, args.config.external.vault)
        else:
            entered = self._run_servers(name, args)
        self.provider = vault.Provider(
            f"{name}-provider",
            address=self.address,
            token=self.provisioner_token,
            ca_cert_file=self.ca_file,
            skip_child_token=True,  # what a child token creates dies with it
            opts=pulumi.ResourceOptions(parent=self, depends_on=[entered]),
        )
        self.register_outputs({})

    def _run_servers(self, name: str, args: VaultClusterArgs) -> pulumi.Resource:
        config, ports, authority = args.config, args.config.ports, args.authority
        assert authority is not None  # noqa: S101 - servers of the stack's own have one
        self.addresses = [f"https://127.0.0.1:{port}" for port in ports.nodes]
        self.address = f"https://127.0.0.1:{ports.vault_front}"
        self.ca_file, self.ca_pem = str(args.state_dir / "vault" / "ca.pem"), authority.ca_pem
        self.audit_dir = args.state_dir / "vault" / "audit"
        self.audit_readable = self.guarded = True
        servers = VaultServers(
            f"{name}-servers",
            state_dir=str(args.state_dir),
            nodes=[
                {"name": node, "port": port}
                for node, port in zip(self.node_names, ports.nodes, strict=True)
            ],
            front_port=ports.vault_front,
            ca_pem=authority.ca_pem,
            certificates=authority.certificates,
            driver="docker" if config.driver == "docker" else None,
            seal_port=ports.seal if config.unseal == "transit" else None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.provisioner_token = secret(servers.provisioner_token)
        self.unseal_keys = secret(servers.unseal_keys)
        return servers

    def _log_in(self, name: str, settings: ExternalVault) -> pulumi.Resource:
        ca_file = given_file("external.vault.caFile", settings.ca_file)
        self.addresses = [node.address for node in settings.nodes]
        self.address = settings.front
        self.ca_file, self.ca_pem = str(ca_file), ca_file.read_text().strip()
        self.audit_dir = settings.audit_dir
        self.audit_readable, self.guarded = settings.audit_readable, settings.guardrails
        login = VaultLogin(
            f"{name}-login",
            address=self.address,
            ca_file=self.ca_file,
            auth=settings.auth,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.provisioner_token = secret(login.token)
        self.unseal_keys = secret(pulumi.Output.from_input([]))  # its operators keep them
        return login

    def options(self, parent: pulumi.Resource, **more: Any) -> pulumi.ResourceOptions:
        """Return the options of a resource in this Vault; it is made after those in `after`."""
        depends_on = [*self.after, *more.pop("depends_on", [])]
        return pulumi.ResourceOptions(
            parent=parent, provider=self.provider, depends_on=depends_on, **more
        )
