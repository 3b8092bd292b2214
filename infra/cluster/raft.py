"""What drivers that run raft nodes themselves have in common: joining, unsealing, waiting.

Every node answers on a port of 127.0.0.1 of this machine, whatever it runs in.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import hvac
import requests
from hvac.exceptions import VaultError

from infra.cluster.configuration import STABILIZATION
from infra.cluster.process import ProcessError, ServerProcess
from infra.cluster.seal import SealVault
from infra.waiting import wait_for


@dataclass(frozen=True)
class Node:
    """One node, by its port on 127.0.0.1."""

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


class RaftCluster(ABC):
    """The nodes that `state_dir/vault/nodes.json` lists; knows them by the files there alone."""

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / "vault"
        self.ca_file = self.folder / "ca.pem"

    # -- what differs between drivers -------------------------------------------------------------

    @abstractmethod
    def running(self, node: str) -> bool:
        """Return whether the node's server is there."""

    @abstractmethod
    def kill(self, node: str) -> None:
        """End the node's server at once."""

    @abstractmethod
    def _launch(self, node: str) -> None:
        """Start the node's server unless it runs; don't wait for it."""

    @abstractmethod
    def _last_words(self, node: str) -> str:
        """Return the end of the node's log in one line."""

    @abstractmethod
    def _peer_address(self, node: Node) -> str:
        """Return the https URL by which another node reaches this one."""

    @abstractmethod
    def stop(self) -> None:
        """End every process of the cluster; it is about to be removed."""

    @abstractmethod
    def lay_out(
        self,
        nodes: Sequence[Node],
        *,
        front_port: int,
        ca_pem: str,
        certificates: dict[str, dict[str, str]],
        seal_port: int | None = None,
    ) -> None:
        """Write configuration, certificates and keys of all nodes; nothing is started.

        With `seal_port` the nodes are unsealed by a transit Vault there.
        """

    @property
    def seal(self) -> SealVault:
        """The small Vault that unseals the nodes, there or not."""
        return SealVault(self.folder / "seal", self.ca_file)

    @property
    def unseals_itself(self) -> bool:
        """Whether nodes are unsealed by the seal Vault and not by the operators' shares."""
        return self.seal.exists()

    # -- files ------------------------------------------------------------------------------------

    def _write(
        self, nodes: Sequence[Node], front_port: int, ca_pem: str, **more: dict[str, Any]
    ) -> None:
        """Write what every driver needs; `more` are further files' contents, by their names."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.ca_file.write_text(ca_pem)
        (self.folder / "audit").mkdir(exist_ok=True)
        (self.folder / "nodes.json").write_text(json.dumps([asdict(node) for node in nodes]))
        front = {
            "port": front_port,
            "nodes": [node.port for node in nodes],
            "ca_file": str(self.ca_file),
        }
        for name, content in {"front": front, **more}.items():
            (self.folder / f"{name}.json").write_text(json.dumps(content))

    def _listed(self) -> list[Node]:
        try:
            return [Node(**node) for node in json.loads((self.folder / "nodes.json").read_text())]
        except FileNotFoundError:
            return []

    def _node(self, name: str) -> Node:
        for node in self._listed():
            if node.name == name:
                return node
        raise ProcessError(f"there is no node {name!r} under {self.folder}")

    def remove(self) -> None:
        """Delete every file of the cluster; its processes must have been stopped."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- the driver's protocol --------------------------------------------------------------------

    def nodes(self) -> list[str]:
        """Return the names of all nodes, running or not."""
        return [node.name for node in self._listed()]

    def start(self, node: str) -> None:
        """Start the node's server and wait until it answers; it is sealed then, unless it
        unseals itself."""
        self._launch(node)
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
            still_possible=lambda: (
                None if self.running(node) else f"it died: {self._last_words(node)}"
            ),
        )

    def unseal(self, node: str, keys: Sequence[str]) -> None:
        """Unseal the node and wait until it has caught up with the cluster.

        A node that has just joined takes keys only once it has the leader's seal configuration,
        so a refused round is tried again. Without keys it is waited for to unseal itself.
        Raises `WaitedTooLong` after 30 s.
        """
        client = self.client(node)

        def unsealed() -> bool:
            try:
                if not client.sys.is_sealed():
                    return True
                if keys:
                    client.sys.submit_unseal_key(reset=True)
                    client.sys.submit_unseal_keys(list(keys))
                return not client.sys.is_sealed()
            except (requests.RequestException, VaultError):
                return False

        wait_for(unsealed, f"{node} unsealing", seconds=30)

    def client(self, node: str, token: str | None = None) -> Any:
        """Return a client of this one node. Without `token` it has none, whatever is set."""
        client = hvac.Client(url=self._node(node).address, verify=str(self.ca_file), timeout=10)
        client.token = token  # hvac would take VAULT_TOKEN, or ~/.vault-token
        return client

    # -- the one address of the cluster -----------------------------------------------------------

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

    # -- initialising -----------------------------------------------------------------------------

    def initialise(self, *, shares: int, threshold: int) -> tuple[list[str], str]:
        """Start and join all nodes; return the key shares and the root token.

        The shares are unseal keys; where a seal unseals the nodes, recovery keys.
        """
        first, *others = self.nodes()
        for name in (first, *others):
            self._launch(name)
        self.start(first)
        kind = "recovery" if self.unseals_itself else "secret"
        told = self.client(first).adapter.put(
            "/v1/sys/init", json={f"{kind}_shares": shares, f"{kind}_threshold": threshold}
        )
        found = told["recovery_keys_base64"] if self.unseals_itself else told["keys_base64"]
        keys, root = [str(key) for key in found], str(told["root_token"])
        unsealing = [] if self.unseals_itself else keys[:threshold]
        self.unseal(first, unsealing)
        client = self.client(first, root)
        self.wait_until_active(client)
        client.adapter.post(
            "/v1/sys/storage/raft/autopilot/configuration",
            json={"server_stabilization_time": STABILIZATION},
        )
        for name in others:
            self.start(name)
            self.client(name).sys.join_raft_cluster(
                leader_api_addr=self._peer_address(self._node(first)),
                leader_ca_cert=self.ca_file.read_text(),
            )
            self.unseal(name, unsealing)
        self.wait_for_voters(client, len(self.nodes()))
        return keys, root

    # -- waiting --------------------------------------------------------------------------------

    def wait_until_active(self, client: Any) -> None:
        """Wait until the client's node leads."""

        def active() -> bool:
            with contextlib.suppress(requests.RequestException, VaultError):
                return bool(client.sys.read_leader_status()["is_self"])
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
