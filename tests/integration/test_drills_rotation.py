"""Rotations and revocations that leave something behind, on a real stack."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from live_stack import LiveStack

from infra import role_sql

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("drill", ["root-rotation", "static-role-rotation"])
def test_rotation_is_no_change_to_the_program(stack: LiveStack, drill: str) -> None:
    """After Vault has changed a password, `pulumi up` has nothing to send back."""
    done = stack.drill("run", drill, "--json")
    # on a machine that is short of time a client may be slow; the password has changed all the same
    assert done.returncode in {0, 99}, done.stdout + done.stderr
    bounds = {each["name"]: each["verdict"] for each in json.loads(done.stdout)["bounds"]}
    assert bounds["old_login_accepted"] == bounds["untraced_leases"] == "pass"
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def superuser(stack: LiveStack) -> psycopg.Connection[Any]:
    """A session of Postgres' superuser, whose password is in the state alone."""
    resources = json.loads(stack.state(secrets=True))["deployment"]["resources"]
    [server] = [each["outputs"] for each in resources if each["type"].endswith(":PostgresServer")]
    platform = stack.platform().postgres
    return psycopg.connect(
        host=platform.host,
        port=platform.port,
        dbname=platform.database,
        user="postgres",
        password=json.loads(server["password"]["plaintext"]),
        sslmode="require",
        autocommit=True,
    )


@pytest.fixture
def forged(stack: LiveStack) -> Iterator[str]:
    """A role that looks like one of Vault's, and that nobody asked Vault for."""
    letters = string.ascii_letters + string.digits
    name = f"v-approle-orders-{''.join(secrets.choice(letters) for _ in range(20))}-1795262400"
    with superuser(stack) as session:
        session.execute(f"CREATE ROLE \"{name}\" VALID UNTIL 'tomorrow'".encode())
    yield name
    with superuser(stack) as session:
        session.execute(f'DROP ROLE "{name}"'.encode())


def test_what_roles_own_and_roles_that_nobody_asked_for(stack: LiveStack, forged: str) -> None:
    """Revocation SQL that forgets what a role owns breaks role-owns-objects, and a role without
    an issue in the audit log breaks untraced_leases."""
    vault, path = stack.provisioner(), "/v1/database/roles/orders"
    declared = role_sql.revocation()
    forgetful = [each.replace('DROP OWNED BY "{{name}}";', "") for each in declared]
    assert forgetful != declared
    vault.adapter.post(path, json={"revocation_statements": forgetful})
    try:
        done = stack.drill("run", "role-owns-objects", "--json")
    finally:
        vault.adapter.post(path, json={"revocation_statements": declared})
        vault.adapter.post("/v1/sys/leases/revoke-prefix/database/creds/orders", json={})
    assert done.returncode == 99, done.stderr
    bounds = {each["name"]: each for each in json.loads(done.stdout)["bounds"]}
    assert bounds["revoked_roles_left"]["verdict"] == "fail"
    assert bounds["orphan_roles"]["verdict"] == "fail"
    assert bounds["untraced_leases"]["verdict"] == "fail"
    assert bounds["untraced_leases"]["observed"] == 1
    assert forged in bounds["untraced_leases"]["detail"]


def test_audit_block_is_undone_while_vault_says_nothing(stack: LiveStack, tmp_path: Path) -> None:
    """With its runner dead and Vault waiting for the device, the watchdog reads the pipe, and
    Vault answers again."""
    file = tmp_path / "blocked.yaml"
    file.write_text(
        """
drill: blocked
title: An audit device blocks for a minute
catches: nothing; a drill to test the harness with
load: {service: orders, users: 2, pools: 1, pool_size: 2}
phases: {warmup: 0s, baseline: 1s, fault: 60s, recovery: 1s}
faults: [audit-block]
bounds: [{unsealed_voters: {at_least: 3}}]
"""
    )
    runner = stack.start_drill("run", str(file))
    stack.wait_for_event(event="fault-injected", seconds=180)
    runner.kill()
    runner.communicate()
    assert stack.drill("recover").returncode == 0  # waits for the watchdog
    devices = stack.provisioner().sys.list_enabled_audit_devices()["data"]
    assert sorted(devices) == ["file-1/", "file-2/"]
    pipes = Path(stack.platform().cluster.state_dir).rglob("*.fifo")
    assert list(pipes) == []
