"""The stack, top to bottom. What differs between stacks is in Pulumi.<stack>.yaml."""

from __future__ import annotations

import pulumi
import pulumi_vault as vault

from infra import outputs, settings
from infra.cluster.vault import VaultCluster, VaultClusterArgs
from infra.database_engine import DatabaseEngine, DatabaseEngineArgs
from infra.drill_operator import DrillOperator
from infra.fault_proxy import FaultProxy
from infra.guardrails import Guardrails
from infra.lines import lines
from infra.postgres import Postgres, PostgresArgs
from infra.rotate_operator import RotateOperator
from infra.service import Service, ServiceArgs
from infra.static_role import static_role_name
from infra.tls import CertificateAuthority

config = settings.load()
state_dir = settings.state_dir()
ways = lines(config)

names = config.servers
authority = CertificateAuthority("authority", names=names) if names else None
cluster = VaultCluster("vault", VaultClusterArgs(config, state_dir, authority))
postgres = Postgres("postgres", PostgresArgs(config, state_dir, authority))
proxy = (
    FaultProxy(
        "proxy",
        state_dir=str(state_dir),
        api_port=config.ports.proxy_api,
        proxies=ways.proxies,
    )
    if ways.proxies
    else None
)
guardrails = Guardrails("guardrails", cluster)
roles = [role for each in config.services for role in (each.name, f"{each.name}-ro")]
static_roles = [static_role_name(each.name) for each in config.services if each.static]
engine = DatabaseEngine(
    "database",
    DatabaseEngineArgs(cluster, postgres, proxy, ways, [*roles, *static_roles]),
    # credentials are issued only once somebody writes down to whom
    pulumi.ResourceOptions(depends_on=guardrails.audit_devices),
)
approle = vault.AuthBackend(
    "approle",
    type="approle",
    path="approle",
    opts=pulumi.ResourceOptions(provider=cluster.provider, depends_on=guardrails.audit_devices),
)
services = [
    Service(each.name, ServiceArgs(each, cluster, postgres, engine, approle))
    for each in config.services
]
operator = DrillOperator("drill-operator", cluster, roles=roles)
RotateOperator(
    "rotate-operator",
    cluster,
    approle_mount=approle.path,
    services={each.name: [each.role, each.read_only_role] for each in services},
)

outputs.export(
    config=config,
    state_dir=state_dir,
    ways=ways,
    cluster=cluster,
    guardrails=guardrails,
    postgres=postgres,
    approle=approle,
    services=services,
    operator=operator,
)
