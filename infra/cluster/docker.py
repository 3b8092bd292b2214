"""Driver `docker`: a container a Vault node on a network of the stack's own, a volume each.

Inside, every node listens on 8200 and is known by its name; outside, by its port on 127.0.0.1.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.cluster import configuration, engine
from infra.cluster.abilities import Ability
from infra.cluster.local import write_pair
from infra.cluster.raft import Node, RaftCluster
from infra.cluster.server_program import is_openbao
from tools.binaries import Resolved, resolve

VAULT_PORT = 8200
_CONFIG = "/vault/config"
_DATA = "/vault/data"


def prefix(state_dir: Path) -> str:
    """Return what the names of a stack's containers, volumes and network begin with."""
    digest = hashlib.sha256(str(state_dir).encode()).hexdigest()[:8]
    return f"rotation-drills-{state_dir.name}-{digest}"


def image_tag(name: str, version: str, *parts: object) -> str:
    """Return the tag of an image made here; `parts` are what decides its content."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:12]
    return f"rotation-drills/{name}:{version}-{digest}"


def program_image(client: Any, program: Resolved, *, at: str, folders: Sequence[str] = ()) -> str:
    """Return the tag of an image that holds one static program; made unless it is there.

    `folders` belong to the caller's account, which is the one that the container runs under.
    """
    engine.check_static(program.path)
    stat = program.path.stat()
    owner = (os.getuid(), os.getgid())
    parts = (program.path, stat.st_size, stat.st_mtime_ns, at, owner, *folders)
    tag = image_tag(program.name, program.version, *parts)
    root = engine.Root()
    root.add(program.path, at=at)
    root.folder("/tmp", owner=(0, 0), mode=0o1777)  # noqa: S108 - the container's own
    for folder in folders:
        root.folder(folder, owner=owner, mode=0o700)
    root.become(client, tag)
    return tag


class DockerCluster(RaftCluster):
    """The containers whose names begin with the stack's prefix."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__(state_dir)
        self.prefix = prefix(state_dir)
        self.network = f"{self.prefix}-net"
        self._connected: Any = None

    @property
    def _engine(self) -> Any:
        if self._connected is None:
            self._connected = engine.connect()
        return self._connected

    def abilities(self) -> frozenset[Ability]:
        """Return what can be done to the nodes from here."""
        return frozenset({"processes", "unseal", "pause", "disconnect", "proxy"})

    def lay_out(
        self,
        nodes: Sequence[Node],
        *,
        front_port: int,
        ca_pem: str,
        certificates: dict[str, dict[str, str]],
        seal_port: int | None = None,
    ) -> None:
        """Write every node's files and make the image and the network; nothing is started."""
        del seal_port  # the settings refuse it for this driver
        program = resolve("vault")
        image = program_image(self._engine, program, at="/bin/vault", folders=[_DATA])
        self._write(nodes, front_port, ca_pem, docker={"image": image})
        engine.make_network(self._engine, self.network)
        openbao = is_openbao(program)
        for node in nodes:
            folder = self.folder / node.name
            write_pair(folder, certificates[node.name])
            (folder / "ca.pem").write_text(ca_pem)
            server = configuration.Server(
                name=node.name,
                listen=f"0.0.0.0:{VAULT_PORT}",
                cluster_listen=f"0.0.0.0:{VAULT_PORT + 1}",
                api=self._peer_address(node),
                cluster=f"https://{node.name}:{VAULT_PORT + 1}",
                data=_DATA,
                certificate=f"{_CONFIG}/cert.pem",
                key=f"{_CONFIG}/key.pem",
            )
            (folder / "vault.hcl").write_text(configuration.text(server, openbao=openbao))

    def _container(self, node: str) -> str:
        return f"{self.prefix}-{self._node(node).name}"

    def running(self, node: str) -> bool:
        """Return whether the node's container runs."""
        return engine.running(self._engine, self._container(node))

    def kill(self, node: str) -> None:
        """End the node's server with SIGKILL."""
        engine.kill(self._engine, self._container(node))

    def _launch(self, node: str) -> None:
        image = json.loads((self.folder / "docker.json").read_text())["image"]
        audit = str(self.folder / "audit")
        engine.start(
            self._engine,
            self._container(node),
            image,
            entrypoint=["/bin/vault", "server", f"-config={_CONFIG}/vault.hcl"],
            user=f"{os.getuid()}:{os.getgid()}",
            environment={
                f"{program}_{name}": value
                for program in ("VAULT", "BAO")
                for name, value in {
                    "ADDR": f"https://127.0.0.1:{VAULT_PORT}",
                    "CACERT": f"{_CONFIG}/ca.pem",
                }.items()
            },
            hostname=node,
            network=self.network,
            alias=node,
            ports={f"{VAULT_PORT}/tcp": ("127.0.0.1", self._node(node).port)},
            volumes={
                str(self.folder / node): {"bind": _CONFIG, "mode": "ro"},
                engine.volume(self._container(node)): {"bind": _DATA, "mode": "rw"},
                audit: {"bind": audit, "mode": "rw"},  # the same path inside: probes read it
            },
            # exit status 0 unsealed, 2 sealed, 1 no answer
            healthcheck={
                "test": ["CMD", "/bin/vault", "status"],
                "interval": engine.duration(10),
                "timeout": engine.duration(5),
                "start_period": engine.duration(5),
                "retries": 3,
            },
        )

    def pause(self, node: str) -> None:
        """Freeze the node's processes: connections stay open, nothing answers."""
        container = engine.find(self._engine, self._container(node))
        if container is not None and container.status == "running":
            container.pause()

    def resume(self, node: str) -> None:
        """Let a frozen node go on; no error when it does."""
        container = engine.find(self._engine, self._container(node))
        if container is not None and container.status == "paused":
            container.unpause()

    def disconnect(self, node: str) -> None:
        """Take the node off the network: from peers, database and clients alike."""
        if self.connected(node):
            network = self._engine.networks.get(self.network)
            network.disconnect(self._container(node), force=True)

    def reconnect(self, node: str) -> None:
        """Put it back, under its name; no error when it is there."""
        if not self.connected(node):
            network = self._engine.networks.get(self.network)
            network.connect(self._container(node), aliases=[node])

    def connected(self, node: str) -> bool:
        """Return whether the node is on the network."""
        container = engine.find(self._engine, self._container(node))
        if container is None:
            return False
        return self.network in container.attrs["NetworkSettings"]["Networks"]

    def _last_words(self, node: str) -> str:
        return engine.last_words(self._engine, self._container(node))

    def _peer_address(self, node: Node) -> str:
        return f"https://{node.name}:{VAULT_PORT}"

    def stop(self) -> None:
        """Remove every container, volume and network of the cluster."""
        self._front().stop()
        names = [self._container(node) for node in self.nodes()]
        if names:
            engine.remove(self._engine, self.network, names)
