"""Component: the database server of a stack, its database, and who is in it besides services."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_postgresql as postgresql

from infra.password import Password
from infra.postgres_server import SUPERUSER, PostgresServer
from infra.secret import secret
from infra.settings import Ports
from infra.tls import CertificateAuthority

DATABASE = "shop"
VAULT_ADMIN = "vault_admin"
OBSERVER = "drill_observer"


@dataclass
class PostgresArgs:
    """Where the server lives, and on which port."""

    state_dir: Path
    ports: Ports
    authority: CertificateAuthority


class Postgres(pulumi.ComponentResource):
    """A server with TLS, one database, Vault's admin role (no superuser) and the drills' observer.

    `vault_admin` may create roles and end sessions, and is the one that Vault logs in as.
    """

    def __init__(
        self, name: str, args: PostgresArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rotation-drills:postgres:Postgres", name, None, opts)
        self.host, self.port = "127.0.0.1", args.ports.postgres
        certificate = args.authority.certificates["postgres"]
        self.ca_file = str(args.state_dir / "vault" / "ca.pem")
        self.server = PostgresServer(
            f"{name}-server",
            state_dir=str(args.state_dir),
            port=self.port,
            certificate=certificate["certificate"],
            key=secret(certificate["key"]),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.superuser_password = secret(self.server.password)
        self.provider = postgresql.Provider(
            f"{name}-provider",
            host=self.host,
            port=self.port,
            username=SUPERUSER,
            password=self.superuser_password,
            database="postgres",
            sslmode="require",
            superuser=True,
            connect_timeout=15,
            max_connections=8,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.server]),
        )
        self.database = postgresql.Database(
            f"{name}-database", name=DATABASE, owner=SUPERUSER, opts=self.options(self)
        )
        self.vault_admin_password = Password(
            f"{name}-vault-admin-password", opts=pulumi.ResourceOptions(parent=self)
        )
        self.vault_admin = postgresql.Role(
            f"{name}-vault-admin",
            name=VAULT_ADMIN,
            login=True,
            create_role=True,
            connection_limit=20,
            # Write-only: Vault may rotate it, and no later `up` sends this one back.
            password_wo=self.vault_admin_password.value,
            password_wo_version="1",
            # From Postgres 16 on, who creates a role becomes a member of it: while leases live,
            # Vault's admin has memberships that no program declares. Those that are declared are
            # GrantRoles, so the role's own list is not looked at.
            opts=self.options(self, ignore_changes=["roles"]),
        )
        self.may_end_sessions = postgresql.GrantRole(
            f"{name}-vault-admin-signals",
            role=self.vault_admin.name,
            grant_role="pg_signal_backend",
            opts=self.options(self),
        )
        self.observer_password = Password(
            f"{name}-observer-password", opts=pulumi.ResourceOptions(parent=self)
        )
        self.observer = postgresql.Role(
            f"{name}-observer",
            name=OBSERVER,
            login=True,
            connection_limit=10,
            password_wo=self.observer_password.value,
            password_wo_version="1",
            roles=["pg_monitor"],
            opts=self.options(self),
        )
        self.register_outputs({})

    def options(self, parent: pulumi.Resource, **more: Any) -> pulumi.ResourceOptions:
        """Return the options of a resource in this server."""
        return pulumi.ResourceOptions(parent=parent, provider=self.provider, **more)
