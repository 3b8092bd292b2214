"""Component: the database server of a stack, its database, and who is in it besides services."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pulumi
import pulumi_postgresql as postgresql

from infra import names
from infra.cluster.docker_postgres import DockerPostgres
from infra.cluster.settings import ExternalPostgres
from infra.password import Password
from infra.postgres_server import SUPERUSER, PostgresServer
from infra.secret import secret
from infra.service_settings import DEFAULT_DATABASE
from infra.settings import Settings, given_file, read_secret
from infra.tls import CertificateAuthority

DATABASE = DEFAULT_DATABASE
VAULT_ADMIN = "vault_admin"
OBSERVER = "drill_observer"


@dataclass
class PostgresArgs:
    """The stack's settings, its folder, and who signs a certificate for a server of its own."""

    config: Settings
    state_dir: Path
    authority: CertificateAuthority | None


class VaultAdmin(NamedTuple):
    """Whom Vault logs in to a database as: it may create roles and end sessions, no more."""

    role: postgresql.Role
    password: Password
    may_end_sessions: postgresql.GrantRole


class Postgres(pulumi.ComponentResource):
    """A server with TLS, its databases, Vault's admin of each (no superuser) and the drills'
    observer.

    The server is the stack's own, or (driver `external`) one that runs already; `admin` is who
    makes databases and roles in it.
    """

    ca_pem: pulumi.Input[str]

    def __init__(
        self, name: str, args: PostgresArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rotation-drills:postgres:Postgres", name, None, opts)
        external = args.config.external
        servers = [] if external else [self._run_server(name, args)]
        if external:
            self._take(external.postgres)
        self.provider = postgresql.Provider(
            f"{name}-provider",
            host=self.host,
            port=self.port,
            username=self.admin,
            password=self.admin_password,
            database="postgres",
            sslmode="verify-full" if external else "require",
            sslrootcert=self.ca_file if external else None,
            superuser=external.postgres.superuser if external else True,
            connect_timeout=15,
            max_connections=8,
            opts=pulumi.ResourceOptions(parent=self, depends_on=servers),
        )
        self.databases = {
            database: postgresql.Database(
                f"{name}-database" + (f"-{database}" if database != DATABASE else ""),
                name=database,
                owner=self.admin,
                opts=self.options(self),
            )
            for database in names.databases(args.config.services)
        }
        self.vault_admins = {
            database: self._vault_admin(name, database) for database in self.databases
        }
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

    def _vault_admin(self, name: str, database: str) -> VaultAdmin:
        """One a connection: Vault rotates its password, and would lock another connection of the
        same account out, today's or one that is declared later."""
        suffix = f"-{database}" if database != DATABASE else ""
        password = Password(
            f"{name}-vault-admin-password{suffix}", opts=pulumi.ResourceOptions(parent=self)
        )
        role = postgresql.Role(
            f"{name}-vault-admin{suffix}",
            name=VAULT_ADMIN + suffix.replace("-", "_"),
            login=True,
            create_role=True,
            connection_limit=20,
            # Write-only: Vault may rotate it, and no later `up` sends this one back.
            password_wo=password.value,
            password_wo_version="1",
            # From Postgres 16 on, who creates a role becomes a member of it: while leases live,
            # Vault's admin has memberships that no program declares. Those that are declared are
            # GrantRoles, so the role's own list is not looked at.
            opts=self.options(self, ignore_changes=["roles"]),
        )
        may_end_sessions = postgresql.GrantRole(
            f"{name}-vault-admin-signals{suffix}",
            role=role.name,
            grant_role="pg_signal_backend",
            opts=self.options(self),
        )
        return VaultAdmin(role, password, may_end_sessions)

    def _run_server(self, name: str, args: PostgresArgs) -> pulumi.Resource:
        authority = args.authority
        assert authority is not None  # noqa: S101 - servers of the stack's own have one
        self.host, self.port, self.admin = "127.0.0.1", args.config.ports.postgres, SUPERUSER
        self.ca_file, self.ca_pem = str(args.state_dir / "vault" / "ca.pem"), authority.ca_pem
        certificate = authority.certificates["postgres"]
        kind = DockerPostgres if args.config.driver == "docker" else PostgresServer
        server = kind(
            f"{name}-server",
            state_dir=str(args.state_dir),
            port=self.port,
            certificate=certificate["certificate"],
            key=secret(certificate["key"]),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.admin_password = secret(server.password)
        return server

    def _take(self, settings: ExternalPostgres) -> None:
        ca_file = given_file("external.postgres.caFile", settings.ca_file)
        self.host, self.port, self.admin = settings.host, settings.port, settings.username
        self.ca_file, self.ca_pem = str(ca_file), ca_file.read_text().strip()
        self.admin_password = secret(
            pulumi.Output.from_input(read_secret("external.postgres.password", settings.password))
        )

    def options(self, parent: pulumi.Resource, **more: Any) -> pulumi.ResourceOptions:
        """Return the options of a resource in this server."""
        return pulumi.ResourceOptions(parent=parent, provider=self.provider, **more)
