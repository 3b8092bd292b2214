"""Component: a login that stays while Vault rotates its password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_postgresql as postgresql
import pulumi_vault as vault

from infra import names
from infra.cluster.vault import VaultCluster
from infra.database_engine import DatabaseEngine
from infra.password import Password
from infra.postgres import Postgres
from infra.service_settings import StaticSettings


@dataclass
class StaticRoleArgs:
    """Whose login it is, and the platform's parts that it is wired into."""

    service: str
    settings: StaticSettings
    cluster: VaultCluster
    postgres: Postgres
    engine: DatabaseEngine
    connection: vault.database.SecretBackendConnection
    vault_admin: postgresql.Role
    group: pulumi.Resource


class StaticRole(pulumi.ComponentResource):
    """A Postgres role in the service's read-write group; Vault alone knows its password.

    Vault sets another password as soon as the static role is made, so the one that the state knows
    is worth nothing by then. `output` is what the stack says of it: no secret.
    """

    def __init__(
        self, name: str, args: StaticRoleArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("rotation-drills:service:StaticRole", name, None, opts)
        self.role = names.static_role(args.service)
        first = Password(f"{name}-first-password", opts=pulumi.ResourceOptions(parent=self))
        login = postgresql.Role(
            f"{name}-login",
            name=args.settings.username,
            login=True,
            # Write-only, and there at all, so that no `refresh` reads Vault's into the state and
            # no `up` then takes it away.
            password_wo=first.value,
            password_wo_version="1",
            roles=[f"{args.service}_rw"],
            opts=args.postgres.options(self, depends_on=[args.group]),
        )
        may_set_password = postgresql.GrantRole(
            f"{name}-login-by-vault",
            role=args.vault_admin.name,
            grant_role=login.name,
            with_admin_option=True,  # from Postgres 16 on, CREATEROLE alone alters nobody else
            opts=args.postgres.options(self),
        )
        vault.database.SecretBackendStaticRole(
            f"{name}-role",
            backend=args.engine.mount.path,
            name=self.role,
            db_name=args.connection.name,
            username=login.name,
            rotation_period=args.settings.rotation_period,
            opts=args.cluster.options(self, depends_on=[may_set_password]),
        )
        self.output: dict[str, Any] = {
            "role": self.role,
            "username": args.settings.username,
            "rotation_period_seconds": args.settings.rotation_period,
        }
        self.register_outputs({})
