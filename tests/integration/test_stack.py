"""What `pulumi up` gives, on real servers."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import hvac
import psycopg
import pytest
from live_stack import LiveStack

from drills.database import Database
from drills.probes.postgres_roles import live_leases
from drills.vault import Vault
from infra.cluster.driver import open_cluster
from infra.cluster.process import taken_ports
from infra.waiting import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def vault(stack: LiveStack) -> Iterator[Vault]:
    client = Vault(stack.platform())
    yield client
    client.close()


def test_three_unsealed_voters(stack: LiveStack, vault: Vault) -> None:
    """All three nodes are unsealed, vote, and one of them leads."""
    state = vault.call("GET", "sys/storage/raft/autopilot/state")["data"]
    assert len(state["voters"]) == 3
    assert state["healthy"]
    assert sorted(vault.health(node) or 0 for node in vault.nodes) == [200, 429, 429]


def test_nothing_changes_right_after(stack: LiveStack) -> None:
    """`up` right after `up`, and after `refresh`, changes nothing."""
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    stack.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def test_live_leases_are_no_drift(stack: LiveStack, vault: Vault) -> None:
    """Leases that live while the stack is refreshed change nothing in it."""
    for _ in range(3):
        vault.call("GET", "database/creds/orders")
    stack.pulumi("refresh", "--yes", "--skip-preview")
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    vault.call("PUT", "sys/leases/revoke-prefix/database/creds/orders")


def test_exported_state_holds_no_secret_in_clear(stack: LiveStack) -> None:
    """Each key, token and password that the stack knows is encrypted in its exported state."""
    in_clear = json.loads(stack.state(secrets=True))
    marked: set[str] = set()

    def collect(value: object) -> None:
        if isinstance(value, dict):
            if "plaintext" in value:
                collect_strings(json.loads(value["plaintext"]))
            for item in value.values():
                collect(item)
        elif isinstance(value, list):
            for item in value:
                collect(item)

    def collect_strings(value: object) -> None:
        if isinstance(value, str) and len(value) >= 8:
            marked.add(value)
        elif isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                collect_strings(item)

    collect(in_clear)
    platform = stack.platform()
    known = {
        platform.vault.operator_token.get_secret_value(),
        platform.postgres.observer_password.get_secret_value(),
        platform.services[0].auth.secret_id.get_secret_value(),
        *(key.get_secret_value() for key in platform.vault.unseal_keys),
    }
    assert known <= marked
    handed_on = stack.state(secrets=False)
    public = {"127.0.0.1", platform.vault.ca_pem, "verify-full"}
    on_disk = "".join(
        path.read_text(errors="replace")
        for path in (stack.root / ".state" / "backend").rglob("*.json*")
    )
    for value in marked - public:
        if value.startswith(("/", "-----BEGIN CERTIFICATE")) or value in {"postgres", "shop"}:
            continue  # a whole object was marked; its addresses and certificates are no secrets
        assert json.dumps(value)[1:-1] not in handed_on
        assert json.dumps(value)[1:-1] not in on_disk


def test_root_token_is_gone(stack: LiveStack) -> None:
    """No token with the root policy is left in Vault."""
    client = stack.provisioner()
    listed = client.adapter.list("/v1/auth/token/accessors")["data"]["keys"]
    policies = [
        client.auth.token.lookup_accessor(accessor)["data"]["policies"] for accessor in listed
    ]
    assert policies
    assert not any("root" in each for each in policies)


def test_provisioner_reads_no_credential(stack: LiveStack) -> None:
    """The token of `pulumi up` is refused the credentials that it declares roles for."""
    with pytest.raises(hvac.exceptions.Forbidden):
        stack.provisioner().secrets.database.generate_credentials("orders")


def test_credential_works_and_its_end_is_real(stack: LiveStack, vault: Vault) -> None:
    """A leased login may write orders; revoked, it is refused, its session ended, its role gone."""
    platform = stack.platform()
    lease = vault.call("GET", "database/creds/orders")
    username, password = lease["data"]["username"], lease["data"]["password"]
    database = Database(platform)
    connection = psycopg.connect(**database._options(), user=username, password=password)
    connection.execute("INSERT INTO orders.orders (item, quantity) VALUES ('tea', 1)")
    connection.commit()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE orders.mine ()")
    connection.rollback()
    assert [role.name for role in database.dynamic_roles("orders")] == [username]
    vault.call("PUT", "sys/leases/revoke-prefix/database/creds/orders")
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    assert database.dynamic_roles("orders") == []
    assert database.login(username, password) == "refused"
    database.close()


def test_static_role_rotates_and_up_leaves_it_alone(stack: LiveStack) -> None:
    """A service reads its static login; rotated, the old password is refused and nothing drifts."""
    platform = stack.platform()
    service = platform.services[0]
    assert service.static is not None
    ca_file = Path(platform.cluster.state_dir) / "vault" / "ca.pem"
    client = hvac.Client(url=platform.vault.nodes[0].address, verify=str(ca_file))
    client.auth.approle.login(service.auth.role_id, service.auth.secret_id.get_secret_value())
    reads = client.secrets.database.get_static_credentials
    before = reads(service.static.role)["data"]
    database = Database(platform)
    assert database.login(before["username"], before["password"]) == "accepted"
    stack.provisioner().adapter.post(f"/v1/database/rotate-role/{service.static.role}")
    after = reads(service.static.role)["data"]
    assert after["username"] == before["username"] == service.static.username
    assert database.login(before["username"], before["password"]) == "refused"
    assert database.login(after["username"], after["password"]) == "accepted"
    database.close()
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def test_plain_connections_are_refused(stack: LiveStack) -> None:
    """Postgres takes nobody in without TLS."""
    postgres = stack.platform().postgres
    with pytest.raises(psycopg.OperationalError, match=r"no encryption|pg_hba"):
        psycopg.connect(
            host=postgres.host,
            port=postgres.port,
            dbname=postgres.database,
            user=postgres.observer_username,
            password=postgres.observer_password.get_secret_value(),
            sslmode="disable",
        )


def test_dead_node_is_found_and_restarted(stack: LiveStack, vault: Vault) -> None:
    """A killed node shows in `refresh`, and the next `up` starts and unseals it; then clean."""
    cluster = open_cluster(stack.platform())
    leader = vault.active_node()
    assert leader is not None
    cluster.kill(leader)
    seen = stack.pulumi("refresh", "--yes", "--skip-preview", "--diff")
    assert f"{leader} is not running" in seen.stdout
    stack.up()
    assert all(vault.health(node) in {200, 429} for node in vault.nodes)
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def test_change_by_hand_is_drift(stack: LiveStack) -> None:
    """A policy and a grant changed by hand are drift, named; `refresh` and `up` put them back."""
    client = stack.provisioner()
    client.sys.create_or_update_policy("orders", 'path "x" { capabilities = ["read"] }')
    drift = stack.pulumi("refresh", "--preview-only", "--expect-no-changes", check=False)
    assert drift.returncode != 0
    assert "orders-policy" in drift.stdout
    stack.pulumi("refresh", "--yes", "--skip-preview")
    stack.up()
    assert "database/creds/orders" in client.sys.read_policy("orders")["data"]["rules"]
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def test_taken_port_is_named(tmp_path: Path) -> None:
    """A port that another process has is refused before anything starts, with the key to set."""
    live = LiveStack(tmp_path / "taken")
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", live.base_port + 20))
        busy.listen()
        live.init()
        refused = live.up(check=False)
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    assert f"port {live.base_port + 20} on 127.0.0.1 is taken" in said
    assert "rotation-drills:basePort" in said
    assert "Traceback" not in said
    live.destroy()


def test_tool_too_old_is_named(tmp_path: Path) -> None:
    """A Vault on PATH that is too old is refused before anything starts, without a traceback."""
    live = LiveStack(tmp_path / "old")
    old = tmp_path / "bin" / "vault"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho Vault v1.9.0\n")
    old.chmod(0o755)
    live.env["PATH"] = f"{old.parent}:{live.env['PATH']}"
    live.init()
    refused = live.up(check=False)
    said = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert "vault 1.9.0" in said
    assert "is too old" in said
    assert "Traceback" not in said
    live.destroy()


def test_wrong_configuration_is_one_line(tmp_path: Path) -> None:
    """A wrong key in the stack's file is told by file and key, without a traceback."""
    live = LiveStack(tmp_path / "wrong")
    file = live.root / "Pulumi.dev.yaml"
    file.write_text(file.read_text() + "  rotation-drills:nods: '3'\n")
    live.init()
    refused = live.up(check=False)
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    assert "Pulumi.dev.yaml: rotation-drills:nods: there is no such key" in said
    assert "Traceback" not in said


def test_destroy_with_live_leases_leaves_nothing(tmp_path: Path) -> None:
    """`destroy` with 50 live leases leaves no process, port, role or file of the stack's."""
    live = LiveStack(tmp_path / "doomed")
    live.create()
    try:
        platform = live.platform()
        vault = Vault(platform)
        for _ in range(50):
            vault.call("GET", "database/creds/orders")
        assert live_leases(platform, vault) == 50
        vault.close()
    finally:
        live.pulumi("destroy", "--yes", "--skip-preview")
    wait_for(lambda: not live.processes(), "the last process going", seconds=10)
    assert taken_ports(list(range(live.base_port, live.base_port + 50))) == []
    folder = live.root / ".state" / "stacks" / "dev"
    assert [path for path in folder.rglob("*") if path.is_file()] in (
        [],
        [folder / "drills" / "ca.pem"],
    )
