"""Driver `local`: Vault nodes as detached processes on this machine, raft storage, TLS."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import hvac
import requests
from hvac.exceptions import VaultError

from infra.cluster.process import ProcessError, ServerProcess
from infra.waiting import wait_for
from tools.binaries import resolve

#: Autopilot counts a server as a voter after the stabilization time; measured on three nodes:
#: 7.8 s to three voters with these, 22 s by default.
_RAFT_TUNING = """
  performance_multiplier       = 1
  autopilot_reconcile_interval = "1s"
  autopilot_update_interval    = "500ms"
"""
_STABILIZATION = "1s"


@dataclass(frozen=True)
class Node:
    """One node of the local cluster."""

    name: str
    port: int

    @property
    def cluster_port(self) -> int:
        """Where the nodes talk to each other."""
        return self.port + 1

    @property
    def address(self) -> str:
        """Where clients and operators reach it."""
        return f"https://127.0.0.1:{self.port}"


class LocalCluster:
    """The processes under `state_dir/vault`; knows them by the files there alone."""

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / "vault"
        self.ca_file = self.folder / "ca.pem"

    # -- laying out -----------------------------------------------------------------------------

    def lay_out(
        self,
        nodes: Sequence[Node],
        *,
        front_port: int,
        ca_pem: str,
        certificates: dict[str, dict[str, str]],
    ) -> None:
        """Write configuration, certificates and keys of all nodes; nothing is started."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.ca_file.write_text(ca_pem)
        (self.folder / "audit").mkdir(exist_ok=True)
        (self.folder / "nodes.json").write_text(json.dumps([asdict(node) for node in nodes]))
        front = {
            "port": front_port,
            "nodes": [node.port for node in nodes],
            "ca_file": str(self.ca_file),
        }
        (self.folder / "front.json").write_text(json.dumps(front))
        for node in nodes:
            folder = self.folder / node.name
            (folder / "data").mkdir(parents=True, exist_ok=True)
            (folder / "cert.pem").write_text(certificates[node.name]["certificate"])
            key = folder / "key.pem"
            key.touch(mode=0o600)
            key.write_text(certificates[node.name]["key"])
            (folder / "vault.hcl").write_text(self._configuration(node))

    def _configuration(self, node: Node) -> str:
        folder = self.folder / node.name
        return f"""# written by the stack; changes here are lost
api_addr      = "{node.address}"
cluster_addr  = "https://127.0.0.1:{node.cluster_port}"
disable_mlock = true
ui            = false

storage "raft" {{
  path    = "{folder / "data"}"
  node_id = "{node.name}"
{_RAFT_TUNING}}}

listener "tcp" {{
  address         = "127.0.0.1:{node.port}"
  cluster_address = "127.0.0.1:{node.cluster_port}"
  tls_cert_file   = "{folder / "cert.pem"}"
  tls_key_file    = "{folder / "key.pem"}"
}}

telemetry {{
  disable_hostname          = true
  prometheus_retention_time = "60s"
}}
"""

    def remove(self) -> None:
        """Delete every file of the cluster; its processes must have been stopped."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- the driver's protocol ------------------------------------------------------------------

    def _nodes(self) -> list[Node]:
        try:
            return [Node(**node) for node in json.loads((self.folder / "nodes.json").read_text())]
        except FileNotFoundError:
            return []

    def _node(self, name: str) -> Node:
        for node in self._nodes():
            if node.name == name:
                return node
        raise ProcessError(f"there is no node {name!r} under {self.folder}")

    def _process(self, name: str) -> ServerProcess:
        folder = self.folder / name
        return ServerProcess("vault", folder, f"-config={folder / 'vault.hcl'}")

    def nodes(self) -> list[str]:
        """Return the names of all nodes, running or not."""
        return [node.name for node in self._nodes()]

    def running(self, node: str) -> bool:
        """Return whether the node's server process is there."""
        return self._process(node).find() is not None

    def kill(self, node: str) -> None:
        """End the node's server with SIGKILL."""
        self._process(node).kill()

    def start(self, node: str) -> None:
        """Start the node's server and wait until it answers; it is sealed then."""
        process = self._process(node)
        process.start([str(resolve("vault").path), "server", process.mark], cwd=process.folder)
        client = self.client(node)

        def answers() -> bool:
            try:
                client.sys.read_seal_status()
            except (requests.RequestException, VaultError):
                return False
            return True

        wait_for(
            answers,
            f"{node} answering",
            seconds=20,
            still_possible=lambda: None if process.find() else f"it died: {process.last_words()}",
        )

    def unseal(self, node: str, keys: Sequence[str]) -> None:
        """Unseal the node and wait until it has caught up with the cluster.

        A node that has just joined takes keys only once it has the leader's seal configuration,
        so a refused round is tried again. Raises `WaitedTooLong` after 30 s.
        """
        client = self.client(node)

        def unsealed() -> bool:
            try:
                if not client.sys.is_sealed():
                    return True
                client.sys.submit_unseal_key(reset=True)
                client.sys.submit_unseal_keys(list(keys))
                return not client.sys.is_sealed()
            except (requests.RequestException, VaultError):
                return False

        wait_for(unsealed, f"{node} unsealing", seconds=30)

    # -- the one address of the cluster --------------------------------------------------------

    def _front(self) -> ServerProcess:
        return ServerProcess("front", self.folder, str(self.folder / "front.json"))

    def front_running(self) -> bool:
        """Return whether the relay that gives the cluster one address is there."""
        return self._front().find() is not None

    def start_front(self) -> None:
        """Start the relay and wait until it takes connections."""
        front = self._front()
        front.start([sys.executable, "-m", "infra.cluster.front", front.mark])
        port = json.loads(Path(front.mark).read_text())["port"]

        def listens() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                return False
            return True

        wait_for(
            listens,
            "the cluster's front answering",
            seconds=15,
            still_possible=lambda: None if front.find() else f"it died: {front.last_words()}",
        )

    # -- what provisioning needs besides ----------------------------------------------------------

    def client(self, node: str, token: str | None = None) -> Any:
        """Return a client of this one node."""
        return hvac.Client(
            url=self._node(node).address, token=token, verify=str(self.ca_file), timeout=10
        )

    def stop(self) -> None:
        """End every node's process at once; for a cluster that is about to be removed."""
        self._front().stop()
        for name in self.nodes():
            self._process(name).stop(sign=signal.SIGKILL, seconds=5)

    def initialise(self, *, shares: int, threshold: int) -> tuple[list[str], str]:
        """Start and join all nodes; return the unseal keys and the root token."""
        first, *others = self.nodes()
        for name in (first, *others):
            process = self._process(name)
            process.start([str(resolve("vault").path), "server", process.mark], cwd=process.folder)
        self.start(first)
        told = self.client(first).sys.initialize(shares, threshold)
        keys, root = [str(key) for key in told["keys_base64"]], str(told["root_token"])
        self.unseal(first, keys[:threshold])
        client = self.client(first, root)
        self.wait_until_active(client)
        client.adapter.post(
            "/v1/sys/storage/raft/autopilot/configuration",
            json={"server_stabilization_time": _STABILIZATION},
        )
        for name in others:
            self.start(name)
            self.client(name).sys.join_raft_cluster(
                leader_api_addr=self._node(first).address, leader_ca_cert=self.ca_file.read_text()
            )
            self.unseal(name, keys[:threshold])
        self.wait_for_voters(client, len(self.nodes()))
        return keys, root

    def wait_until_active(self, client: Any) -> None:
        """Wait until the client's node leads."""

        def active() -> bool:
            try:
                return bool(client.sys.read_leader_status()["is_self"])
            except (requests.RequestException, VaultError):
                return False

        wait_for(active, "the first node becoming active", seconds=30)

    def wait_for_leader(self) -> None:
        """Wait until one node leads and every other one knows it.

        A node that was killed as the leader is still named by the others for a while, so what
        counts is a leader that says so itself.
        """

        def led() -> bool:
            try:
                told = [self.client(name).sys.read_leader_status() for name in self.nodes()]
            except (requests.RequestException, VaultError):
                return False
            leaders = {status.get("leader_address") for status in told}
            return len(leaders) == 1 and any(status.get("is_self") for status in told)

        wait_for(led, "the cluster electing a leader", seconds=30)

    def wait_for_voters(self, client: Any, count: int) -> None:
        """Wait until autopilot counts `count` healthy voters."""

        def voters() -> bool:
            try:
                state = client.adapter.get("/v1/sys/storage/raft/autopilot/state")["data"]
            except (requests.RequestException, VaultError):
                return False
            return len(state.get("voters") or []) == count and bool(state["healthy"])

        wait_for(voters, f"{count} healthy raft voters", seconds=60)
