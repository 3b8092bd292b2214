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
from infra.postgres import Postgres, PostgresArgs
from infra.service import Service, ServiceArgs
from infra.static_role import static_role_name
from infra.tls import CertificateAuthority

config = settings.load()
state_dir = settings.state_dir()
ports = config.ports
nodes = [f"vault-{index + 1}" for index in range(config.nodes)]

seal = ["seal"] if config.unseal == "transit" else []
authority = CertificateAuthority("authority", names=[*nodes, *seal, "postgres"])
cluster = VaultCluster("vault", VaultClusterArgs(state_dir, ports, authority, config.unseal))
postgres = Postgres("postgres", PostgresArgs(state_dir, ports, authority))
proxy = FaultProxy(
    "proxy",
    state_dir=str(state_dir),
    api_port=ports.proxy_api,
    proxies=outputs.proxies(ports, nodes),
)
guardrails = Guardrails("guardrails", cluster)
roles = [role for each in config.services for role in (each.name, f"{each.name}-ro")]
static_roles = [static_role_name(each.name) for each in config.services if each.static]
engine = DatabaseEngine(
    "database",
    DatabaseEngineArgs(cluster, postgres, proxy, ports, [*roles, *static_roles], authority.ca_pem),
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

outputs.export(
    config=config,
    state_dir=state_dir,
    authority=authority,
    cluster=cluster,
    guardrails=guardrails,
    postgres=postgres,
    approle=approle,
    services=services,
    operator=operator,
)
