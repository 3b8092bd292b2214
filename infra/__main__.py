"""The stack, top to bottom. What differs between stacks is in Pulumi.<stack>.yaml."""

from __future__ import annotations

import pulumi

from infra import engines, outputs, settings
from infra.auth_methods import AuthMethods
from infra.cluster.docker_proxy import DockerFaultProxy
from infra.cluster.kubernetes import VaultChart
from infra.cluster.vault import VaultCluster, VaultClusterArgs
from infra.database_engine import DatabaseEngine, DatabaseEngineArgs
from infra.drill_operator import DrillOperator
from infra.fault_proxy import FaultProxy
from infra.guardrails import Guardrails
from infra.key_value import KeyValue
from infra.lines import lines
from infra.names import roles_by_database, secret_data_path, static_role
from infra.operators import Operators
from infra.postgres import Postgres, PostgresArgs
from infra.rotate_operator import RotateOperator
from infra.service import Service, ServiceArgs
from infra.service_group import ServiceGroup
from infra.terms import Terms
from infra.tls import CertificateAuthority

config = settings.load()
environment = pulumi.get_stack()
state_dir = settings.state_dir()
ways = lines(config)

Terms("terms", config)

names = config.servers
authority = CertificateAuthority("authority", names=names) if names else None
chart = (
    VaultChart("vault-chart", config.kubernetes, nodes=config.nodes) if config.kubernetes else None
)
cluster = VaultCluster(
    "vault",
    VaultClusterArgs(config, state_dir, authority),
    pulumi.ResourceOptions(depends_on=[chart] if chart else []),
)
postgres = Postgres("postgres", PostgresArgs(config, state_dir, authority))
proxy = (
    (DockerFaultProxy if config.driver == "docker" else FaultProxy)(
        "proxy",
        state_dir=str(state_dir),
        api_port=config.ports.proxy_api,
        proxies=ways.proxies,
    )
    if ways.proxies
    else None
)
guardrails = Guardrails("guardrails", cluster, config.rate_limit)
# credentials are issued only once somebody writes down to whom
cluster.after = guardrails.audit_devices
static_roles = [static_role(each.name) for each in config.services if each.static]
engine = DatabaseEngine(
    "database",
    DatabaseEngineArgs(cluster, postgres, proxy, ways, roles_by_database(config.services)),
)
methods = AuthMethods("auth", cluster, config.auth)
key_value = KeyValue("key-value", cluster, environment=environment, api_keys=config.api_keys)
engines.declare(cluster, config.engines)
services = [
    Service(
        each.name,
        ServiceArgs(each, cluster, postgres, engine, methods, key_value, environment),
    )
    for each in config.services
]
ServiceGroup(
    "services",
    cluster,
    environment=environment,
    members=[each.login.entity_id for each in services],
)
Operators(
    "operators",
    cluster,
    secrets=[
        secret_data_path(environment, each.name, kind)
        for each in services
        for kind in each.secret_types
    ],
)
operator = DrillOperator(
    "drill-operator",
    cluster,
    roles={role: sql for each in services for role, sql in each.creation.items()},
    static_roles=static_roles,
    audit_dir=cluster.audit_dir,
)
RotateOperator(
    "rotate-operator",
    cluster,
    approle_mount="approle",
    services={each.name: [each.role, each.read_only_role] for each in services},
    static_roles=static_roles,
)

outputs.export(
    config=config,
    state_dir=state_dir,
    ways=ways,
    cluster=cluster,
    guardrails=guardrails,
    postgres=postgres,
    key_value=key_value,
    services=services,
    operator=operator,
)
