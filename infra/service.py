"""Component: one application: its schema and group roles, its dynamic roles, how it logs in."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_postgresql as postgresql
import pulumi_vault as vault

from infra import names, policies, role_sql
from infra.auth_methods import AuthMethods
from infra.cluster.vault import VaultCluster
from infra.database_engine import MOUNT, DatabaseEngine
from infra.key_value import KeyValue
from infra.lease_drain import LeaseDrain
from infra.migration import Migration
from infra.postgres import Postgres
from infra.secret import secret
from infra.service_login import ServiceLogin
from infra.service_settings import ServiceSettings
from infra.static_role import StaticRole, StaticRoleArgs


@dataclass
class ServiceArgs:
    """The platform's parts that a service is wired into."""

    settings: ServiceSettings
    cluster: VaultCluster
    postgres: Postgres
    engine: DatabaseEngine
    methods: AuthMethods
    key_value: KeyValue
    environment: str


class Service(pulumi.ComponentResource):
    """`role` may use its schema as its privileges say, `read_only_role` may read it; both by short
    leases. `creation` is each dynamic role's creation SQL; `login` how the service gets a token.
    """

    def __init__(
        self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rotation-drills:service:Service", name, None, opts)
        self.name = name
        self.settings = args.settings
        self.role, self.read_only_role = name, f"{name}-ro"
        self._database = args.postgres.databases[args.settings.database]
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
                    connection=args.engine.connections[args.settings.database],
                    vault_admin=args.postgres.vault_admins[args.settings.database].role,
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
            database=self._database.name,
            owner=postgres.admin,
            opts=postgres.options(self),
        )
        privileges: dict[str, list[str]] = {
            f"{name}_ro": ["SELECT"],
            f"{name}_rw": [*self.settings.privileges],
        }
        ready: dict[str, pulumi.Resource] = {}
        for group, on_tables in privileges.items():
            role = postgresql.Role(f"{name}-{group}", name=group, opts=postgres.options(self))
            database = postgresql.Grant(
                f"{name}-{group}-connect",
                role=role.name,
                database=self._database.name,
                object_type="database",
                privileges=["CONNECT"],
                opts=postgres.options(self),
            )
            usage = postgresql.Grant(
                f"{name}-{group}-usage",
                role=role.name,
                database=self._database.name,
                schema=schema.name,
                object_type="schema",
                privileges=["USAGE"],
                # two GRANTs at once on one catalogue row fail: "tuple concurrently updated"
                opts=postgres.options(self, depends_on=[database, *ready.values()]),
            )
            tables = postgresql.DefaultPrivileges(
                f"{name}-{group}-tables",
                role=role.name,
                database=self._database.name,
                schema=schema.name,
                owner=postgres.admin,
                object_type="table",
                privileges=on_tables,
                opts=postgres.options(self, depends_on=[usage]),
            )
            ready[group] = postgresql.GrantRole(
                f"{name}-{group}-by-vault",
                role=postgres.vault_admins[self.settings.database].role.name,
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
                        "dbname": self.settings.database,
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
        connection = args.engine.connections[self.settings.database]
        # A service that is taken out of the file takes its leases along: its roles go first (no
        # new lease), then what is leased is revoked, then its groups, its database, its connection.
        drained = LeaseDrain(
            f"{self.name}-lease-drain",
            address=args.cluster.address,
            ca_file=args.cluster.ca_file,
            token=args.cluster.provisioner_token,
            prefixes=[f"{MOUNT}/creds/{role}" for role in roles],
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[connection, self.tables, *groups.values()]
            ),
        )
        self.dynamic_roles = [
            vault.database.SecretBackendRole(
                f"{self.name}-role-{role}",
                backend=args.engine.mount.path,
                name=role,
                db_name=connection.name,
                creation_statements=self.creation[role],
                renew_statements=role_sql.renewal(),
                revocation_statements=role_sql.revocation(),
                default_ttl=self.settings.ttl,
                max_ttl=self.settings.max_ttl,
                opts=args.cluster.options(self, depends_on=[drained, args.engine.drained]),
            )
            for role in roles
        ]

    def _declare_login(self, args: ServiceArgs) -> None:
        name, cluster = self.name, args.cluster
        keys = [key.name for key in args.key_value.settings if key.service == name]
        self.secret_types = list(dict.fromkeys([*self.settings.secrets, *keys]))
        self.secret_paths = [
            names.secret_path(args.environment, name, each) for each in self.secret_types
        ]
        policy = vault.Policy(
            f"{name}-policy",
            name=name,
            policy=policies.service(
                MOUNT,
                self.role,
                self.read_only_role,
                names.static_role(name) if self.static_role else None,
                [
                    names.secret_data_path(args.environment, name, each)
                    for each in self.secret_types
                ],
            ),
            opts=cluster.options(self),
        )
        self.login = ServiceLogin(
            self,
            self.settings,
            environment=args.environment,
            policy=policy.name,
            cluster=cluster,
            methods=args.methods,
        )
