"""The fault proxy of driver `docker`: Toxiproxy in a container on the stack's network.

Services reach it by ports of 127.0.0.1, Vault as `postgres`: the name in Postgres's certificate.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from infra.cluster import engine
from infra.cluster.docker import prefix, program_image
from infra.fault_proxy import FaultProxyServer, populate
from tools.binaries import resolve

ALIAS = "postgres"
_API_PORT = 8474


class _DockerProxy(FaultProxyServer):
    """The same table of proxies, another way to run the program."""

    def _names(self, props: dict[str, Any]) -> tuple[str, str]:
        start = prefix(Path(props["state_dir"]))
        return f"{start}-net", f"{start}-proxy"

    def find_programs(self) -> None:
        engine.connect()
        super().find_programs()

    def ailments(self, props: dict[str, Any]) -> list[str]:
        running = engine.running(engine.connect(), self._names(props)[1])
        return [] if running else ["toxiproxy is not running"]

    def mend(self, props: dict[str, Any]) -> dict[str, Any]:
        client = engine.connect()
        network, name = self._names(props)
        engine.make_network(client, network)
        outside = {f"{_API_PORT}/tcp": ("127.0.0.1", int(props["api_port"]))}
        for proxy in props["proxies"]:
            port = int(proxy["listen"].rpartition(":")[2])
            outside[f"{port}/tcp"] = ("127.0.0.1", port)
        (self._folder(props) / "proxies.json").write_text("[]")
        engine.start(
            client,
            name,
            program_image(client, resolve("toxiproxy"), at="/bin/toxiproxy"),
            network=network,
            alias=ALIAS,
            entrypoint=["/bin/toxiproxy", "-host", "0.0.0.0", "-port", str(_API_PORT)],  # noqa: S104 - of the container
            user=f"{os.getuid()}:{os.getgid()}",
            ports=outside,
        )
        populate(
            self._api(props),
            props["proxies"],
            lambda: (
                None
                if engine.running(client, name)
                else f"it died: {engine.last_words(client, name)}"
            ),
        )
        return {}

    def remove(self, props: dict[str, Any]) -> None:
        network, name = self._names(props)
        if self._folder(props).exists():
            engine.remove(engine.connect(), network, [name])
        self._forget(props)


class DockerFaultProxy(Resource, module="proxy", name="DockerFaultProxy"):
    """As `FaultProxy`, in a container."""

    ailments: pulumi.Output[list[str]]

    def __init__(
        self,
        name: str,
        *,
        state_dir: str,
        api_port: int,
        proxies: list[dict[str, Any]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "state_dir": state_dir,
            "api_port": api_port,
            "proxies": [{**proxy, "enabled": True} for proxy in proxies],
            "ailments": None,
        }
        super().__init__(_DockerProxy(), name, props, opts)
