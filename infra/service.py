"""Component: one application: its schema and group roles, its dynamic roles, how it logs in."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_postgresql as postgresql
import pulumi_vault as vault

from infra import policies, role_sql
from infra.cluster.vault import VaultCluster
from infra.database_engine import MOUNT, DatabaseEngine
from infra.migration import Migration
from infra.postgres import DATABASE, Postgres
from infra.secret import secret
from infra.service_settings import ServiceSettings
from infra.static_role import StaticRole, StaticRoleArgs, static_role_name

SECRET_ID_TTL = 30 * 24 * 3600


@dataclass
class ServiceArgs:
    """The platform's parts that a service is wired into."""

    settings: ServiceSettings
    cluster: VaultCluster
    postgres: Postgres
    engine: DatabaseEngine
    approle: vault.AuthBackend


class Service(pulumi.ComponentResource):
    """`role` may read and write its schema, `read_only_role` may read it; both by short leases."""

    def __init__(
        self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rotation-drills:service:Service", name, None, opts)
        self.name = name
        self.settings = args.settings
        self.role, self.read_only_role = name, f"{name}-ro"
        groups = self._declare_schema(args)
        self._declare_dynamic_roles(args, groups)
        self.static_role: StaticRole | None = None
        if args.settings.static is not None:
            self.static_role = StaticRole(
                f"{name}-static",
                StaticRoleArgs(
                    service=name,
                    settings=args.settings.static,
                    cluster=args.cluster,
                    postgres=args.postgres,
                    engine=args.engine,
                    group=groups[f"{name}_rw"],
                ),
                pulumi.ResourceOptions(parent=self),
            )
        self._declare_login(args)
        self.register_outputs({})

    def _declare_schema(self, args: ServiceArgs) -> dict[str, pulumi.Resource]:
        name, postgres = self.name, args.postgres
        schema = postgresql.Schema(
            f"{name}-schema",
            name=name,
            database=postgres.database.name,
            owner=postgres.admin,
            opts=postgres.options(self),
        )
        privileges = {
            f"{name}_ro": ["SELECT"],
            f"{name}_rw": ["SELECT", "INSERT", "UPDATE", "DELETE"],
        }
        ready: dict[str, pulumi.Resource] = {}
        for group, on_tables in privileges.items():
            role = postgresql.Role(f"{name}-{group}", name=group, opts=postgres.options(self))
            database = postgresql.Grant(
                f"{name}-{group}-connect",
                role=role.name,
                database=postgres.database.name,
                object_type="database",
                privileges=["CONNECT"],
                opts=postgres.options(self),
            )
            usage = postgresql.Grant(
                f"{name}-{group}-usage",
                role=role.name,
                database=postgres.database.name,
                schema=schema.name,
                object_type="schema",
                privileges=["USAGE"],
                # two GRANTs at once on one catalogue row fail: "tuple concurrently updated"
                opts=postgres.options(self, depends_on=[database, *ready.values()]),
            )
            tables = postgresql.DefaultPrivileges(
                f"{name}-{group}-tables",
                role=role.name,
                database=postgres.database.name,
                schema=schema.name,
                owner=postgres.admin,
                object_type="table",
                privileges=on_tables,
                opts=postgres.options(self, depends_on=[usage]),
            )
            ready[group] = postgresql.GrantRole(
                f"{name}-{group}-by-vault",
                role=postgres.vault_admin.name,
                grant_role=role.name,
                with_admin_option=True,  # from Postgres 16 on, CREATEROLE alone grants nothing
                opts=postgres.options(self, depends_on=[tables]),
            )
        self.tables = Migration(
            f"{name}-tables",
            connection=secret(
                pulumi.Output.all(postgres.admin_password).apply(
                    lambda values: {
                        "host": postgres.host,
                        "port": str(postgres.port),  # Pulumi's numbers come back as floats
                        "user": postgres.admin,
                        "password": values[0],
                        "dbname": DATABASE,
                        "sslmode": "verify-full",
                        "sslrootcert": postgres.ca_file,
                    }
                )
            ),
            apply=role_sql.tables(name),
            take_back=role_sql.drop_tables(name),
            # after the default privileges, which cover only tables made later
            opts=pulumi.ResourceOptions(parent=self, depends_on=[schema, *ready.values()]),
        )
        return ready

    def _declare_dynamic_roles(self, args: ServiceArgs, groups: dict[str, pulumi.Resource]) -> None:
        roles = {self.role: f"{self.name}_rw", self.read_only_role: f"{self.name}_ro"}
        self.creation = {role: role_sql.creation(group) for role, group in roles.items()}
        self.dynamic_roles = [
            vault.database.SecretBackendRole(
                f"{self.name}-role-{role}",
                backend=args.engine.mount.path,
                name=role,
                db_name=args.engine.connection.name,
                creation_statements=self.creation[role],
                renew_statements=role_sql.renewal(),
                revocation_statements=role_sql.revocation(),
                default_ttl=self.settings.ttl,
                max_ttl=self.settings.max_ttl,
                opts=args.cluster.options(
                    self, depends_on=[groups[group], self.tables, args.engine.drained]
                ),
            )
            for role, group in roles.items()
        ]

    def _declare_login(self, args: ServiceArgs) -> None:
        name, cluster = self.name, args.cluster
        policy = vault.Policy(
            f"{name}-policy",
            name=name,
            policy=policies.service(
                MOUNT,
                self.role,
                self.read_only_role,
                static_role_name(name) if self.static_role else None,
            ),
            opts=cluster.options(self),
        )
        self.approle = vault.approle.AuthBackendRole(
            f"{name}-approle",
            backend=args.approle.path,
            role_name=name,
            token_policies=[policy.name],
            token_ttl=600,
            token_max_ttl=3600,
            secret_id_ttl=SECRET_ID_TTL,
            secret_id_num_uses=0,
            opts=cluster.options(self),
        )
        self.secret_id = vault.approle.AuthBackendRoleSecretId(
            f"{name}-secret-id",
            backend=args.approle.path,
            role_name=self.approle.role_name,
            metadata=json.dumps({"service": name}),
            ttl=SECRET_ID_TTL,  # left out, the provider would replace it at every `up`
            opts=cluster.options(self, additional_secret_outputs=["secret_id"]),
        )
