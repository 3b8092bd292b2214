"""Operating a stack: who used what, what leaked ends, what was changed by hand shows."""

from __future__ import annotations

import json
import random
import stat
from pathlib import Path
from typing import Any

import hvac
import psycopg
import pytest
from live_stack import LiveStack

from drills.audit.acl import Acl, Rule
from infra.platform import Service

pytestmark = pytest.mark.slow


def _client(stack: LiveStack) -> Any:
    platform = stack.platform()
    ca_file = Path(platform.cluster.state_dir) / "vault" / "ca.pem"
    return hvac.Client(url=platform.vault.nodes[0].address, verify=str(ca_file))


def _log_in(stack: LiveStack, service: Service) -> Any:
    client = _client(stack)
    auth = service.auth
    client.auth.approle.login(auth.role_id, auth.secret_id.get_secret_value())
    return client


def _asked(stack: LiveStack, *arguments: str) -> dict[str, Any]:
    done = stack.drill("audit", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _random_policy(dice: random.Random) -> dict[str, list[str]]:
    words = ["a", "b", "ab", "creds", "+"]
    paths = {
        "/".join(dice.choices(words, k=dice.randint(1, 4))) + dice.choice(["", "", "*", "/*"])
        for _ in range(8)
    }
    rights = ["read", "list", "update", "create", "delete", "sudo", "deny"]
    return {path: dice.sample(rights, dice.randint(1, 3)) for path in paths if "+*" not in path}


def test_policies_are_matched_as_vault_matches_them(stack: LiveStack) -> None:
    """On random policies and paths, Vault itself tells the same capabilities of a token."""
    dice = random.Random(1936)  # noqa: S311 - no secret
    provisioner = stack.provisioner()
    compared = 0
    for _ in range(12):
        names = ["probe-1", "probe-2"]
        rules: list[Rule] = []
        for name in names:
            policy = _random_policy(dice)
            rules += [
                Rule(name, path, frozenset({"deny"} if "deny" in rights else rights))
                for path, rights in policy.items()
            ]
            text = "".join(
                f"path {json.dumps(path)} {{ capabilities = {json.dumps(rights)} }}\n"
                for path, rights in policy.items()
            )
            text += 'path "sys/capabilities-self" { capabilities = ["update"] }\n'
            provisioner.sys.create_or_update_policy(name, text)
        client = _client(stack)
        made = provisioner.auth.token.create(policies=names, no_default_policy=True, ttl="5m")
        client.token = made["auth"]["client_token"]
        words = ["a", "b", "ab", "creds", "x"]
        paths = ["/".join(dice.choices(words, k=dice.randint(1, 5))) for _ in range(40)]
        told = client.write("sys/capabilities-self", paths=paths)["data"]
        acl = Acl(rules)
        for path in paths:
            assert acl.capabilities(path) == set(told[path]) - {"deny"}, (path, rules)
            compared += 1
        provisioner.auth.token.revoke_accessor(made["auth"]["accessor"])
    for name in ("probe-1", "probe-2"):
        provisioner.sys.delete_policy(name)
    assert compared == 480


def test_audit_names_who_leased(stack: LiveStack) -> None:
    """`who`, `leases` and `drift` tell the service that logged in, with and without its Vault."""
    (service, *_) = stack.platform().services
    client = _log_in(stack, service)
    client.secrets.database.generate_credentials(service.role)
    told = _asked(stack, "who", f"database/creds/{service.role}", "--since", "1h", "--op", "read")
    mine = [row for row in told["rows"] if row["policy"] == "orders"]
    # drills before this on the same stack may have left requests that were refused
    served = [row for row in mine if row["outcome"] == "ok"]
    assert {row["service"] for row in served} == {"dev-orders"}
    assert {row["address"] for row in served} == {"127.0.0.1"}

    log = str(stack.platform().vault.audit_logs[0])
    alone = _asked(stack, "who", f"database/creds/{service.role}", "--log", log, "--op", "read")
    assert "orders" in {row["service"] for row in alone["rows"]}

    leases = _asked(stack, "leases")["rows"]
    assert {row["service"] for row in leases if row["lease"] == "database/creds/orders"} == {
        "dev-orders"
    }
    drift = _asked(stack, "drift", "--policy", "orders")["rows"]
    assert "database/creds/orders" not in {row["path"] for row in drift}
    client.auth.token.revoke_self()


def test_rotation_without_a_yes_does_nothing(stack: LiveStack) -> None:
    """`drill rotate` without --yes and without a terminal is refused, and all works as before."""
    refused = stack.drill("rotate", "orders")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    _log_in(stack, stack.platform().services[0]).auth.token.revoke_self()


def test_rotation_ends_what_was_and_gives_anew(stack: LiveStack, tmp_path: Path) -> None:
    """After `drill rotate` old secret id and token are refused, the new one works; no drift."""
    before = stack.platform().services[0]
    thief = _log_in(stack, before)
    thief.secrets.database.generate_credentials(before.role)
    file = tmp_path / "secret-id"
    done = stack.drill("rotate", "orders", "--yes", "--json", "--secret-id-file", str(file))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["not_done"] == []
    assert {check["name"]: check["good"] for check in told["checks"]} == {
        "old secret id": True,
        "old token": True,
        "old database login": True,
        "new login": True,
    }
    assert "database/creds/orders" in {row["path"] for row in told["read"]}
    with pytest.raises(hvac.exceptions.Forbidden):
        thief.auth.token.lookup_self()
    with pytest.raises(hvac.exceptions.InvalidRequest):
        _log_in(stack, before)

    after = stack.platform().services[0]
    secret = after.auth.secret_id.get_secret_value()
    assert file.read_text() == secret
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert secret not in done.stdout + done.stderr
    _log_in(stack, after).auth.token.revoke_self()
    provisioner = stack.provisioner()
    accessors = provisioner.adapter.list("/v1/auth/token/accessors")["data"]["keys"]
    policies = [
        provisioner.auth.token.lookup_accessor(accessor)["data"]["policies"]
        for accessor in accessors
    ]
    assert not any("rotate-operator" in each for each in policies)
    stack.pulumi("refresh", "--preview-only", "--expect-no-changes")


def _superuser_password(stack: LiveStack) -> str:
    """Postgres's superuser, out of the state: what a person who changes things by hand has."""
    for resource in json.loads(stack.state(secrets=True))["deployment"]["resources"]:
        outputs = resource.get("outputs") or {}
        if isinstance(outputs.get("connection"), dict):
            connection = json.loads(outputs["connection"]["plaintext"])
            return str(connection["password"])
    raise AssertionError("the state has no connection of the superuser")


def test_a_grant_taken_by_hand_is_drift(stack: LiveStack) -> None:
    """A grant taken away in Postgres is drift, named; `refresh` and `up` put it back."""
    postgres = stack.platform().postgres
    ca_file = Path(stack.platform().cluster.state_dir) / "vault" / "ca.pem"

    def by_hand(sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(
            host=postgres.host,
            port=postgres.port,
            dbname=postgres.database,
            user="postgres",
            password=_superuser_password(stack),
            sslmode="verify-full",
            sslrootcert=str(ca_file),
        ) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    by_hand("REVOKE USAGE ON SCHEMA orders FROM orders_ro")
    drift = stack.pulumi("refresh", "--preview-only", "--expect-no-changes", check=False)
    assert drift.returncode != 0
    assert "orders-orders_ro-usage" in drift.stdout
    stack.up("--refresh")
    assert by_hand("SELECT has_schema_privilege('orders_ro', 'orders', 'USAGE')") == [(True,)]
