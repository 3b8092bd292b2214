"""A Vault and a Postgres that somebody else runs: bare servers, without `pulumi up`.

What driver `external` is pointed at. Only the operators' part is done here: initialised,
unsealed, and a login with the rights of the policy `provisioner`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra import policies
from infra.cluster.local import LocalCluster
from infra.cluster.raft import Node
from infra.postgres_server import _PostgresServer
from infra.tls import issue


@dataclass
class ExternalServers:
    """Where both are, and the secrets' files."""

    folder: Path
    vault_address: str
    postgres_port: int
    role_id: str
    operator: Any  # a client with the root token

    def configuration(self, *, proxy: bool) -> dict[str, Any]:
        """The value of rotation-drills:external."""
        ca_file = str(self.folder / "ca.pem")
        return {
            "vault": {
                "nodes": [{"name": "keeper", "address": self.vault_address}],
                "caFile": ca_file,
                "auth": {
                    "approle": {
                        "mount": "pipeline",
                        "roleId": self.role_id,
                        "secretId": {"file": str(self.folder / "secret-id")},
                    }
                },
                "auditDir": str(self.folder / "audit"),
                "auditReadable": True,
            },
            "postgres": {
                "host": "127.0.0.1",
                "port": self.postgres_port,
                "password": {"env": "EXTERNAL_POSTGRES_PASSWORD"},
                "caFile": ca_file,
            },
            **({"proxy": "here"} if proxy else {}),
        }


@contextmanager
def external_servers(folder: Path, base_port: int) -> Iterator[tuple[ExternalServers, str]]:
    """Bring both up under `folder`; yields them and the database superuser's password."""
    folder.mkdir(parents=True)
    ca_pem, certificates = issue("of another house", ["keeper", "postgres"])
    (folder / "ca.pem").write_text(ca_pem)
    (folder / "audit").mkdir()
    cluster = LocalCluster(folder)
    database = {
        "state_dir": str(folder),
        "port": base_port + 3,
        "certificate": certificates["postgres"]["certificate"],
        "key": certificates["postgres"]["key"],
    }
    node = Node("keeper", base_port)
    cluster.lay_out([node], front_port=base_port + 2, ca_pem=ca_pem, certificates=certificates)
    try:
        _keys, root = cluster.initialise(shares=1, threshold=1)
        password = _PostgresServer().provision(database)["password"]
        operator = cluster.client("keeper", root)
        role_id = _let_in(operator, folder)
        yield ExternalServers(folder, node.address, base_port + 3, role_id, operator), password
    finally:
        cluster.stop()
        _PostgresServer().remove(database)


def _let_in(operator: Any, folder: Path) -> str:
    """Make the login of `pulumi up`; its secret id is in a file, its role id returned."""
    operator.sys.create_or_update_policy("provisioner", policies.provisioner())
    operator.sys.enable_auth_method("approle", path="pipeline")
    operator.auth.approle.create_or_update_approle(
        "provisioner",
        token_policies=["provisioner"],
        token_ttl="1h",
        mount_point="pipeline",
    )
    made = operator.auth.approle.generate_secret_id("provisioner", mount_point="pipeline")
    (folder / "secret-id").touch(mode=0o600)
    (folder / "secret-id").write_text(made["data"]["secret_id"])
    told = operator.auth.approle.read_role_id("provisioner", mount_point="pipeline")
    return str(told["data"]["role_id"])
