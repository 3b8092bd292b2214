"""Driver `local`: Vault nodes as detached processes on this machine, raft storage, TLS."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from infra.cluster import configuration
from infra.cluster.abilities import Ability
from infra.cluster.configuration import TransitSeal
from infra.cluster.process import ServerProcess
from infra.cluster.raft import Node, RaftCluster
from infra.cluster.server_program import is_openbao, server_environment
from tools.binaries import resolve


class LocalCluster(RaftCluster):
    """The processes under `state_dir/vault`, with the seal's own under `state_dir/vault/seal`."""

    def abilities(self) -> frozenset[Ability]:
        """Return what can be done to the nodes from here."""
        by_hand: set[Ability] = set() if self.unseals_itself else {"unseal"}
        return frozenset({"processes", "postgres-process", "pause", "proxy", *by_hand})

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
        self._write(nodes, front_port, ca_pem)
        openbao = is_openbao(resolve("vault"))
        transit = None
        if seal_port is not None:
            seal = Node("seal", seal_port)
            write_pair(self.seal.folder, certificates["seal"])
            self.seal.lay_out(
                seal.port, configuration.text(self._server(seal, "seal"), openbao=openbao)
            )
            transit = TransitSeal(seal.address, str(self.ca_file))
        for node in nodes:
            folder = self.folder / node.name
            write_pair(folder, certificates[node.name])
            (folder / "data").mkdir(exist_ok=True)
            text = configuration.text(self._server(node), seal=transit, openbao=openbao)
            (folder / "vault.hcl").write_text(text)

    def _server(self, node: Node, folder_name: str | None = None) -> configuration.Server:
        folder = self.folder / (folder_name or node.name)
        return configuration.Server(
            name=node.name,
            listen=f"127.0.0.1:{node.port}",
            cluster_listen=f"127.0.0.1:{node.cluster_port}",
            api=node.address,
            cluster=f"https://127.0.0.1:{node.cluster_port}",
            data=str(folder / "data"),
            certificate=str(folder / "cert.pem"),
            key=str(folder / "key.pem"),
        )

    def _process(self, name: str) -> ServerProcess:
        self._node(name)
        folder = self.folder / name
        return ServerProcess("vault", folder, f"-config={folder / 'vault.hcl'}")

    def running(self, node: str) -> bool:
        """Return whether the node's server process is there."""
        return self._process(node).find() is not None

    def kill(self, node: str) -> None:
        """End the node's server with SIGKILL."""
        self._process(node).kill()

    def pause(self, node: str) -> None:
        """Freeze the node's server (SIGSTOP)."""
        process = self._process(node).find()
        if process is not None:
            process.suspend()

    def resume(self, node: str) -> None:
        """Let it go on (SIGCONT)."""
        process = self._process(node).find()
        if process is not None:
            process.resume()

    def _launch(self, node: str) -> None:
        process = self._process(node)
        process.start(
            [str(resolve("vault").path), "server", process.mark],
            cwd=process.folder,
            env=server_environment(seal_token=self.seal.token() if self.unseals_itself else None),
        )

    def _last_words(self, node: str) -> str:
        return self._process(node).last_words()

    def _peer_address(self, node: Node) -> str:
        return node.address

    def stop(self) -> None:
        """End every node's process at once, then the seal's."""
        self._front().stop()
        for name in self.nodes():
            self._process(name).stop(sign=signal.SIGKILL, seconds=5)
        self.seal.stop()


def write_pair(folder: Path, pair: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "cert.pem").write_text(pair["certificate"])
    key = folder / "key.pem"
    key.touch(mode=0o600)
    key.write_text(pair["key"])
