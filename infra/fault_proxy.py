"""Toxiproxy between service and Vault, service and Postgres, Vault and Postgres."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pulumi
from pulumi.dynamic import Resource

from infra.cluster.process import ServerProcess
from infra.live import ServerProvider
from infra.waiting import wait_for
from tools.binaries import resolve


def populate(
    api: str, proxies: list[dict[str, Any]], still_possible: Callable[[], str | None]
) -> None:
    """Wait until Toxiproxy at `api` answers, and give it its proxies."""

    def populated() -> bool:
        try:
            answer = httpx.post(f"{api}/populate", json=proxies)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.CREATED

    wait_for(populated, "toxiproxy answering", seconds=15, still_possible=still_possible)


class FaultProxyServer(ServerProvider):
    """Toxiproxy as a process of this machine, with a table of proxies."""

    replace_on = ("state_dir", "api_port")
    update_on = ("proxies",)

    def _folder(self, props: dict[str, Any]) -> Path:
        return Path(props["state_dir"]) / "proxy"

    def _process(self, props: dict[str, Any]) -> ServerProcess:
        folder = self._folder(props)
        return ServerProcess("toxiproxy", folder, str(folder / "proxies.json"))

    def find_programs(self) -> None:
        resolve("toxiproxy")

    def ports(self, props: dict[str, Any]) -> list[int]:
        listeners = [int(proxy["listen"].rpartition(":")[2]) for proxy in props["proxies"]]
        return [int(props["api_port"]), *listeners]

    def exists(self, props: dict[str, Any]) -> bool:
        return (self._folder(props) / "proxies.json").exists()

    def _api(self, props: dict[str, Any]) -> str:
        return f"http://127.0.0.1:{int(props['api_port'])}"

    def provision(self, props: dict[str, Any]) -> dict[str, Any]:
        self._folder(props).mkdir(parents=True, mode=0o700)
        self.mend(props)
        return {}

    def ailments(self, props: dict[str, Any]) -> list[str]:
        return [] if self._process(props).find() else ["toxiproxy is not running"]

    def mend(self, props: dict[str, Any]) -> dict[str, Any]:
        process = self._process(props)
        Path(process.mark).write_text(json.dumps(props["proxies"]))
        command = [str(resolve("toxiproxy").path), "-host", "127.0.0.1"]
        process.start([*command, "-port", str(int(props["api_port"])), "-config", process.mark])
        populate(
            self._api(props),
            props["proxies"],
            lambda: None if process.find() else f"it died: {process.last_words()}",
        )
        return {}

    def remove(self, props: dict[str, Any]) -> None:
        self._process(props).stop(seconds=3)
        self._forget(props)

    def _forget(self, props: dict[str, Any]) -> None:
        shutil.rmtree(self._folder(props), ignore_errors=True)


#: States of stacks that are up name the class so.
_FaultProxy = FaultProxyServer


class FaultProxy(Resource, module="proxy", name="FaultProxy"):
    """A Toxiproxy server with `proxies`: each `name`, `listen` and `upstream` as host:port."""

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
        super().__init__(FaultProxyServer(), name, props, opts)
