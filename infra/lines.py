"""Who reaches whom by which way: through the fault proxy where there is one, else directly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from infra.cluster.docker import VAULT_PORT
from infra.cluster.docker_postgres import ALIAS as POSTGRES_ALIAS
from infra.cluster.docker_postgres import PORT as POSTGRES_PORT
from infra.cluster.docker_proxy import ALIAS as PROXY_ALIAS
from infra.settings import Settings

LOCALHOST = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - of a container; its ports are published on loopback alone


@dataclass(frozen=True)
class Lines:
    """Addresses by user: `nodes` and `postgres` are what services take, `vault_to_postgres` what
    Vault takes. `proxies` is Toxiproxy's table; empty, with `proxy_api`, where there is none."""

    nodes: list[str]
    postgres: tuple[str, int]
    vault_to_postgres: tuple[str, int]
    proxy_api: str = ""
    proxies: list[dict[str, Any]] = field(default_factory=list)


def lines(config: Settings) -> Lines:
    """Return the ways of a stack."""
    external = config.external
    if external is not None and not external.proxy:
        server = external.postgres
        return Lines(
            nodes=[node.address for node in external.vault.nodes],
            postgres=(server.host, server.port),
            vault_to_postgres=(server.vault_host or server.host, server.vault_port or server.port),
        )
    ports = config.ports
    inside = config.driver == "docker"
    upstreams = _upstreams(config)
    listeners = [*ports.proxied_nodes, ports.proxied_postgres, ports.vault_to_postgres]
    names = [*config.node_names, "postgres", "vault-to-postgres"]
    return Lines(
        nodes=[f"https://{LOCALHOST}:{port}" for port in ports.proxied_nodes],
        postgres=(LOCALHOST, ports.proxied_postgres),
        vault_to_postgres=(PROXY_ALIAS if inside else LOCALHOST, ports.vault_to_postgres),
        proxy_api=f"http://{LOCALHOST}:{ports.proxy_api}",
        proxies=[
            {
                "name": name,
                "listen": f"{EVERYWHERE if inside else LOCALHOST}:{port}",
                "upstream": upstream,
            }
            for name, port, upstream in zip(names, listeners, upstreams, strict=True)
        ],
    )


def _upstreams(config: Settings) -> list[str]:
    external, ports = config.external, config.ports
    if config.driver == "docker":
        nodes = [f"{name}:{VAULT_PORT}" for name in config.node_names]
        postgres = f"{POSTGRES_ALIAS}:{POSTGRES_PORT}"
    elif external is None:
        nodes = [f"{LOCALHOST}:{port}" for port in ports.nodes]
        postgres = f"{LOCALHOST}:{ports.postgres}"
    else:
        parts = [urlsplit(node.address) for node in external.vault.nodes]
        nodes = [f"{part.hostname}:{part.port or 443}" for part in parts]
        postgres = f"{external.postgres.host}:{external.postgres.port}"
    return [*nodes, postgres, postgres]
