"""Writes the stack outputs in the shape of `infra.platform.Platform`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi

from infra.cluster.vault import VaultCluster
from infra.database_engine import MOUNT
from infra.drill_operator import DrillOperator
from infra.guardrails import Guardrails
from infra.key_value import KeyValue
from infra.lines import Lines
from infra.postgres import DATABASE, OBSERVER, Postgres
from infra.secret import secret
from infra.service import Service
from infra.settings import Settings


def export(
    *,
    config: Settings,
    state_dir: Path,
    ways: Lines,
    cluster: VaultCluster,
    guardrails: Guardrails,
    postgres: Postgres,
    key_value: KeyValue,
    services: list[Service],
    operator: DrillOperator,
) -> None:
    """Export the stack outputs."""
    pulumi.export("stack", pulumi.get_stack())
    pulumi.export("cluster", {"driver": config.driver, "state_dir": str(state_dir)})
    pulumi.export(
        "vault",
        {
            "nodes": [
                {
                    "name": name,
                    "address": address,
                    "proxied_address": proxied,
                }
                for name, address, proxied in zip(
                    cluster.node_names, cluster.addresses, ways.nodes, strict=True
                )
            ],
            "ca_pem": cluster.ca_pem,
            "audit_logs": [str(path) for path in guardrails.audit_logs],
            "database_mount": MOUNT,
            "operator_token": operator.token,
            "unseal_keys": cluster.unseal_keys,
        },
    )
    pulumi.export(
        "postgres",
        {
            "host": postgres.host,
            "port": postgres.port,
            "proxied_host": ways.postgres[0],
            "proxied_port": ways.postgres[1],
            "database": DATABASE,
            "ca_pem": postgres.ca_pem,
            "observer_username": OBSERVER,
            "observer_password": secret(postgres.observer_password.value),
        },
    )
    pulumi.export("proxy", {"api": ways.proxy_api})
    by_approle = [each for each in services if each.login.method == "approle"]
    pulumi.export("services", [_service(each) for each in by_approle])
    pulumi.export(
        "workloads",
        [
            {
                **_described(each),
                "method": each.login.method,
                "mount": each.login.method,
                "service_account": getattr(each.settings.auth, "service_account", None),
            }
            for each in services
            if each.login.method != "approle"
        ],
    )
    pulumi.export("api_keys", key_value.api_keys)
    window = config.drill_window
    pulumi.export(
        "drills",
        {
            "allowed": config.drills_allowed,
            "window": window.model_dump() if window else None,
            "state_dir": str(state_dir / "drills"),
        },
    )


def _described(service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "role": service.role,
        "read_only_role": service.read_only_role,
        "database": service.settings.database,
        "secrets": service.secret_paths,
        "default_ttl_seconds": service.settings.ttl,
        "max_ttl_seconds": service.settings.max_ttl,
        "static": service.static_role.output if service.static_role else None,
    }


def _service(service: Service) -> dict[str, Any]:
    login = service.login
    assert login.secret_id is not None  # noqa: S101 - there is one with AppRole
    return {
        **_described(service),
        "auth": {
            "mount": login.method,
            "role_id": login.role_id,
            "secret_id": secret(login.secret_id),
        },
    }
