"""The dynamic resource behind drivers that run nodes: made, initialised, unsealed, found again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hvac
import pulumi
import requests
from hvac.exceptions import VaultError
from pulumi.dynamic import CheckFailure, CheckResult, Resource

from infra import policies
from infra.cluster import engine
from infra.cluster.docker import DockerCluster
from infra.cluster.local import LocalCluster
from infra.cluster.raft import Node, RaftCluster
from infra.cluster.root_token import generate_root
from infra.live import ServerProvider
from tools.binaries import resolve
from tools.errors import ToolError

SHARES = 3
THRESHOLD = 2
_PROVISIONER_PERIOD = "768h"


def _mint_provisioner(client: Any) -> str:
    """Return a token that can provision, and revoke the root token it was made with."""
    client.sys.create_or_update_policy("provisioner", policies.provisioner())
    made = client.auth.token.create_orphan(
        policies=["provisioner"],
        period=_PROVISIONER_PERIOD,
        display_name="provisioner",
        no_default_policy=False,
    )
    client.auth.token.revoke_self()
    return str(made["auth"]["client_token"])


class _VaultServers(ServerProvider):
    replace_on = ("driver", "state_dir", "nodes", "front_port", "seal_port")
    update_on = ("ca_pem", "certificates")

    def _cluster(self, props: dict[str, Any]) -> RaftCluster:
        docker = props.get("driver") == "docker"
        return (DockerCluster if docker else LocalCluster)(Path(props["state_dir"]))

    def _nodes(self, props: dict[str, Any]) -> list[Node]:
        return [Node(node["name"], int(node["port"])) for node in props["nodes"]]

    def find_programs(self) -> None:
        resolve("vault")

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """As every server, and for containers an engine and a program that can run in one."""
        result = super().check(_olds, news)
        if news.get("driver") == "docker" and not _olds:
            try:
                engine.connect()
                engine.check_static(resolve("vault").path)
            except ToolError as error:
                result.failures.append(CheckFailure("driver", str(error)))
        return result

    def ports(self, props: dict[str, Any]) -> list[int]:
        nodes = self._nodes(props)
        own = [port for node in nodes for port in (node.port, node.cluster_port)]
        seal = self._seal_port(props)
        return [*own, int(props["front_port"]), *([seal, seal + 1] if seal else [])]

    def _seal_port(self, props: dict[str, Any]) -> int | None:
        port = props.get("seal_port")
        return int(port) if port else None

    def _lay_out(self, props: dict[str, Any]) -> RaftCluster:
        cluster = self._cluster(props)
        cluster.lay_out(
            self._nodes(props),
            front_port=int(props["front_port"]),
            ca_pem=props["ca_pem"],
            certificates=props["certificates"],
            seal_port=self._seal_port(props),
        )
        return cluster

    def provision(self, props: dict[str, Any]) -> dict[str, Any]:
        cluster = self._lay_out(props)
        cluster.start_front()
        seal_key = cluster.seal.provision() if cluster.unseals_itself else None
        keys, root = cluster.initialise(shares=SHARES, threshold=THRESHOLD)
        client = cluster.client(cluster.nodes()[0], root)
        return {
            "unseal_keys": [] if cluster.unseals_itself else keys,
            "recovery_keys": keys if cluster.unseals_itself else [],
            "seal_key": seal_key,
            "provisioner_token": _mint_provisioner(client),
        }

    def exists(self, props: dict[str, Any]) -> bool:
        return bool(self._cluster(props).nodes())

    def ailments(self, props: dict[str, Any]) -> list[str]:
        cluster = self._cluster(props)
        found = [] if cluster.front_running() else ["the cluster's front is not running"]
        if cluster.unseals_itself:
            found += cluster.seal.ailments()
        for name in cluster.nodes():
            if not cluster.running(name):
                found.append(f"{name} is not running")
                continue
            try:
                if cluster.client(name).sys.is_sealed():
                    found.append(f"{name} is sealed")
            except (requests.RequestException, VaultError):
                found.append(f"{name} does not answer")
        if not found and not self._token_works(cluster, props["provisioner_token"]):
            found.append("the provisioner's token is no longer good")
        if not found and not self._policy_is_ours(cluster, props["provisioner_token"]):
            found.append("the provisioner's policy is of another version")
        return found

    def _policy_is_ours(self, cluster: RaftCluster, token: str) -> bool:
        client = cluster.client(cluster.nodes()[0], token)
        try:
            held = client.sys.read_policy("provisioner")["data"]["rules"]
        except (requests.RequestException, VaultError):
            return True  # a cluster that can't say at this moment is looked at the next time
        return bool(held.strip() == policies.provisioner().strip())

    def _token_works(self, cluster: RaftCluster, token: str) -> bool:
        client = cluster.client(cluster.nodes()[0], token)
        try:
            client.auth.token.lookup_self()
        except hvac.exceptions.Forbidden:
            return False
        except (requests.RequestException, VaultError):
            return True  # a cluster without a leader at this moment says nothing of the token
        return True

    def mend(self, props: dict[str, Any]) -> dict[str, Any]:
        cluster = self._lay_out(props)
        cluster.start_front()
        if cluster.unseals_itself:
            cluster.seal.mend(str(props["seal_key"]))
        keys = list(props["unseal_keys"])
        for name in cluster.nodes():
            cluster.start(name)
            cluster.unseal(name, keys[:THRESHOLD])
        first = cluster.nodes()[0]
        token = props["provisioner_token"]
        cluster.wait_for_leader()
        if self._token_works(cluster, token):
            client = cluster.client(first, token)
            client.sys.create_or_update_policy("provisioner", policies.provisioner())
            client.auth.token.renew_self()
        else:
            client = cluster.client(first)
            shares = keys or list(props["recovery_keys"])
            client.token = generate_root(client, shares[:THRESHOLD])
            token = _mint_provisioner(client)
        cluster.wait_for_voters(cluster.client(first, token), len(cluster.nodes()))
        return {"provisioner_token": token}

    def remove(self, props: dict[str, Any]) -> None:
        cluster = self._cluster(props)
        cluster.stop()
        cluster.remove()


class VaultServers(Resource, module="vault", name="VaultServers"):
    """Vault nodes on this machine; the root token is revoked before this resource is done."""

    unseal_keys: pulumi.Output[list[str]]
    recovery_keys: pulumi.Output[list[str]]
    provisioner_token: pulumi.Output[str]
    ailments: pulumi.Output[list[str]]

    def __init__(
        self,
        name: str,
        *,
        state_dir: str,
        nodes: list[dict[str, Any]],
        front_port: int,
        ca_pem: pulumi.Input[str],
        certificates: pulumi.Input[dict[str, dict[str, str]]],
        seal_port: int | None = None,
        driver: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "state_dir": state_dir,
            "nodes": nodes,
            "front_port": front_port,
            "ca_pem": ca_pem,
            "certificates": certificates,
            "seal_port": seal_port,
            "driver": driver,
            "unseal_keys": None,
            "recovery_keys": None,
            "seal_key": None,
            "provisioner_token": None,
            "ailments": None,
        }
        secret = pulumi.ResourceOptions(
            additional_secret_outputs=[
                "unseal_keys",
                "recovery_keys",
                "seal_key",
                "provisioner_token",
                "certificates",
            ]
        )
        super().__init__(_VaultServers(), name, props, pulumi.ResourceOptions.merge(opts, secret))
