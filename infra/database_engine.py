"""Component: Vault's database secrets engine, connected to Postgres through the fault proxy."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_vault as vault

from infra.cluster.vault import VaultCluster
from infra.lease_drain import LeaseDrain
from infra.lines import Lines
from infra.postgres import DATABASE, Postgres
from infra.secret import secret

MOUNT = "database"


@dataclass
class DatabaseEngineArgs:
    """What the engine connects, and which roles may use each database's connection."""

    cluster: VaultCluster
    postgres: Postgres
    proxy: pulumi.Resource | None
    lines: Lines
    allowed_roles: dict[str, list[str]]


class DatabaseEngine(pulumi.ComponentResource):
    """The mount and a connection for each database. `drained` is what dynamic roles must depend
    on, so that `destroy` revokes the leases while there still is a connection to do it by."""

    def __init__(
        self, name: str, args: DatabaseEngineArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rotation-drills:database:DatabaseEngine", name, None, opts)
        cluster, postgres = args.cluster, args.postgres
        self.mount = vault.Mount(
            f"{name}-mount",
            path=MOUNT,
            type="database",
            description="short-lived database roles",
            opts=cluster.options(self),
        )
        self.connections = {
            database: self._connect(name, database, args) for database in postgres.databases
        }
        self.drained = LeaseDrain(
            f"{name}-lease-drain",
            address=cluster.address,
            ca_file=cluster.ca_file,
            token=cluster.provisioner_token,
            prefixes=[f"{MOUNT}/creds"],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*self.connections.values()]),
        )
        self.register_outputs({})

    def _connect(
        self, name: str, database: str, args: DatabaseEngineArgs
    ) -> vault.database.SecretBackendConnection:
        cluster, postgres = args.cluster, args.postgres
        host, port = args.lines.vault_to_postgres
        admin = postgres.vault_admins[database]
        return vault.database.SecretBackendConnection(
            f"{name}-connection" + (f"-{database}" if database != DATABASE else ""),
            backend=self.mount.path,
            name=database,
            allowed_roles=args.allowed_roles.get(database, []),
            verify_connection=True,
            postgresql=vault.database.SecretBackendConnectionPostgresqlArgs(
                connection_url=(
                    "postgresql://{{username}}:{{password}}"
                    f"@{host}:{port}/{database}?sslmode=verify-full"
                ),
                username=admin.role.name,
                # Write-only: it is not in Vault's answers, and not sent again after a rotation.
                password_wo=secret(admin.password.value),
                password_wo_version=1,
                password_authentication="scram-sha-256",
                tls_ca=postgres.ca_pem,
                max_open_connections=8,
                max_idle_connections=4,
                max_connection_lifetime=300,
            ),
            opts=cluster.options(
                self,
                depends_on=[
                    *([args.proxy] if args.proxy else []),
                    postgres.databases[database],
                    admin.role,
                    admin.may_end_sessions,
                ],
            ),
        )
