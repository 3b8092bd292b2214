"""Writes the stack outputs in the shape of `infra.platform.Platform`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pulumi_vault as vault

from infra.cluster.vault import VaultCluster
from infra.database_engine import MOUNT
from infra.drill_operator import DrillOperator
from infra.guardrails import Guardrails
from infra.postgres import DATABASE, OBSERVER, Postgres
from infra.secret import secret
from infra.service import Service
from infra.settings import Ports, Settings
from infra.tls import CertificateAuthority


def proxies(ports: Ports, nodes: list[str]) -> list[dict[str, Any]]:
    """Return Toxiproxy's table: one proxy a Vault node, and Postgres from either side."""

    def proxy(name: str, listen: int, upstream: int) -> dict[str, Any]:
        return {
            "name": name,
            "listen": f"127.0.0.1:{listen}",
            "upstream": f"127.0.0.1:{upstream}",
        }

    return [
        *(
            proxy(node, listen, upstream)
            for node, listen, upstream in zip(nodes, ports.proxied_nodes, ports.nodes, strict=True)
        ),
        proxy("postgres", ports.proxied_postgres, ports.postgres),
        proxy("vault-to-postgres", ports.vault_to_postgres, ports.postgres),
    ]


def export(
    *,
    config: Settings,
    state_dir: Path,
    authority: CertificateAuthority,
    cluster: VaultCluster,
    guardrails: Guardrails,
    postgres: Postgres,
    approle: vault.AuthBackend,
    services: list[Service],
    operator: DrillOperator,
) -> None:
    """Export the stack outputs."""
    ports = config.ports
    pulumi.export("stack", pulumi.get_stack())
    pulumi.export("cluster", {"driver": config.driver, "state_dir": str(state_dir)})
    pulumi.export(
        "vault",
        {
            "nodes": [
                {
                    "name": name,
                    "address": address,
                    "proxied_address": f"https://127.0.0.1:{proxied}",
                }
                for name, address, proxied in zip(
                    cluster.node_names, cluster.addresses, ports.proxied_nodes, strict=True
                )
            ],
            "ca_pem": authority.ca_pem,
            "audit_logs": [str(path) for path in guardrails.audit_logs],
            "database_mount": MOUNT,
            "operator_token": operator.token,
            "unseal_keys": secret(cluster.servers.unseal_keys),
        },
    )
    pulumi.export(
        "postgres",
        {
            "host": postgres.host,
            "port": postgres.port,
            "proxied_host": "127.0.0.1",
            "proxied_port": ports.proxied_postgres,
            "database": DATABASE,
            "ca_pem": authority.ca_pem,
            "observer_username": OBSERVER,
            "observer_password": secret(postgres.observer_password.value),
        },
    )
    pulumi.export("proxy", {"api": f"http://127.0.0.1:{ports.proxy_api}"})
    pulumi.export(
        "services",
        [
            {
                "name": service.name,
                "auth": {
                    "mount": approle.path,
                    "role_id": service.approle.role_id,
                    "secret_id": secret(service.secret_id.secret_id),
                },
                "role": service.role,
                "read_only_role": service.read_only_role,
                "default_ttl_seconds": service.settings.ttl,
                "max_ttl_seconds": service.settings.max_ttl,
            }
            for service in services
        ],
    )
    pulumi.export(
        "drills", {"allowed": config.drills_allowed, "state_dir": str(state_dir / "drills")}
    )
