"""A service comes and goes by its lines in the configuration, and is one that drills can drill."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest
import yaml
from live_stack import LiveStack

from drills.database import Database
from infra.platform import Platform, Service
from tools.binaries import resolve

pytestmark = pytest.mark.slow

BILLING = {
    "name": "billing",
    "database": "accounts",
    "privileges": ["SELECT", "INSERT", "UPDATE", "DELETE"],
    "ttl": "60s",
}

DRILL = """
drill: billing-expiry
title: Every lease of the new service is revoked under load
catches: a service that was declared and can't be drilled
load:    {service: billing, users: 4, pools: 1, pool_size: 4}
phases:  {warmup: 2s, baseline: 3s, fault: 2s, recovery: 8s}
faults:
  - revoke-prefix: {role: billing}
bounds:
  - revoked_roles_left:        {at_most: 0}
  - sessions_on_revoked_roles: {at_most: 0}
  - old_login_accepted:        {at_most: 0}
  - leaked_secrets:            {at_most: 0}
"""


def client(platform: Platform, token: str = "") -> Any:
    """A client of the first node."""
    ca_file = Path(platform.cluster.state_dir) / "vault" / "ca.pem"
    return hvac.Client(url=platform.vault.nodes[0].address, token=token, verify=str(ca_file))


def logged_in(platform: Platform, service: Service) -> Any:
    """A client with the service's own token."""
    made = client(platform)
    made.auth.approle.login(service.auth.role_id, service.auth.secret_id.get_secret_value())
    return made


def declare(stack: LiveStack, *more: dict[str, Any]) -> None:
    """Bring the stack up with `orders` and these services."""
    file = stack.root / "Pulumi.dev.yaml"
    wanted = yaml.safe_load(file.read_text())
    services = wanted["config"]["rotation-drills:services"]
    wanted["config"]["rotation-drills:services"] = [services[0], *more]
    file.write_text(yaml.safe_dump(wanted))
    stack.up()


@pytest.fixture(scope="module")
def two_services(stack: LiveStack) -> Iterator[LiveStack]:
    """The stack with `billing` beside `orders`; afterwards it is as it was. What Vault logs in to
    the other database as was rotated before: nobody knows that password any more."""
    stack.provisioner().secrets.database.rotate_root_credentials("shop")
    try:
        declare(stack, BILLING)
        yield stack
    finally:
        declare(stack)


def test_a_new_service_can_be_drilled(two_services: LiveStack, tmp_path: Path) -> None:
    """Four lines and an `up` later the new service's credentials are revoked under load, and its
    database is one of its own."""
    platform = two_services.platform()
    assert platform.service("billing").database == "accounts"
    file = tmp_path / "billing-expiry.yaml"
    file.write_text(DRILL)
    done = two_services.drill("run", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert {each["verdict"] for each in two_services.verdict()["bounds"]} == {"pass"}


def test_a_service_reads_its_own_and_audit_knows_its_name(two_services: LiveStack) -> None:
    """A service reads its own secrets and roles, none of another's; its token says who it is."""
    platform = two_services.platform()
    operator = _operator(two_services, "secret-operator")
    for name in ("orders", "billing"):
        operator.secrets.kv.v2.create_or_update_secret(
            f"dev/{name}/config", {"of": name}, mount_point="secret"
        )
    orders = logged_in(platform, platform.service("orders"))
    read = orders.secrets.kv.v2.read_secret_version
    own = read("dev/orders/config", mount_point="secret", raise_on_deleted_version=True)
    assert own["data"]["data"] == {"of": "orders"}
    with pytest.raises(hvac.exceptions.Forbidden):
        read("dev/billing/config", mount_point="secret", raise_on_deleted_version=True)
    with pytest.raises(hvac.exceptions.Forbidden):
        orders.secrets.database.generate_credentials("billing")
    entity = orders.auth.token.lookup_self()["data"]["entity_id"]
    told = two_services.provisioner().secrets.identity.read_entity(entity)["data"]
    assert told["name"] == "dev-orders"
    assert told["metadata"] == {"environment": "dev", "service": "orders"}


def _operator(stack: LiveStack, policy: str) -> Any:
    made = stack.provisioner().auth.token.create_orphan(
        policies=[policy], ttl="10m", no_default_policy=True
    )
    return client(stack.platform(), made["auth"]["client_token"])


def test_policies_and_secrets_are_different_hands(two_services: LiveStack) -> None:
    """Who changes policies reads no secret, nor their own policy up; who reads secrets changes no
    policy."""
    policies = _operator(two_services, "policy-operator")
    secrets = _operator(two_services, "secret-operator")
    policies.sys.create_or_update_acl_policy("made-up", 'path "x" { capabilities = ["read"] }')
    policies.sys.delete_acl_policy("made-up")
    grant = 'path "secret/*" { capabilities = ["read"] }'
    for refused in ("policy-operator", "default"):
        with pytest.raises(hvac.exceptions.Forbidden):
            policies.sys.create_or_update_acl_policy(refused, grant)
    with pytest.raises(hvac.exceptions.Forbidden):
        policies.secrets.kv.v2.read_secret_version(
            "dev/orders/config", mount_point="secret", raise_on_deleted_version=True
        )
    with pytest.raises(hvac.exceptions.Forbidden):
        policies.secrets.database.generate_credentials("orders")
    with pytest.raises(hvac.exceptions.Forbidden):
        secrets.sys.create_or_update_acl_policy("secret-operator", grant)


def test_agent_renders_credentials_that_work(two_services: LiveStack, tmp_path: Path) -> None:
    """Vault Agent takes the written files as they are; what it renders logs in to Postgres."""
    platform = two_services.platform()
    done = two_services.drill("artefacts", "billing", "--out", str(tmp_path / "agent"))
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "agent"
    secret_id = folder / "secret-id"
    secret_id.touch(mode=0o600)
    secret_id.write_text(platform.service("billing").auth.secret_id.get_secret_value())
    clean = {key: value for key, value in os.environ.items() if not key.startswith("VAULT_")}
    agent = subprocess.run(
        [str(resolve("vault").path), "agent", "-config=agent.hcl", "-exit-after-auth"],
        cwd=folder,
        env=clean,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert agent.returncode == 0, agent.stdout[-3000:] + agent.stderr[-1000:]
    rendered = dict(
        line.split("=", 1) for line in (folder / "rendered" / "database.env").read_text().split()
    )
    assert rendered["PGDATABASE"] == "accounts"
    database = Database(platform)
    assert database.login(rendered["PGUSER"], rendered["PGPASSWORD"]) == "accepted"
    database.close()
    assert not secret_id.exists(), "Agent deletes the secret id once it is logged in"
    two_services.provisioner().sys.revoke_prefix("database/creds/billing")


def test_a_service_goes_without_a_trace(two_services: LiveStack) -> None:
    """Taken out of the file, a service's roles, policy and identity are gone, live leases too."""
    stack = two_services
    logged_in(
        stack.platform(), stack.platform().service("billing")
    ).secrets.database.generate_credentials("billing")
    declare(stack)
    platform = stack.platform()
    assert [each.name for each in platform.services] == ["orders"]
    provisioner = stack.provisioner()
    assert "billing" not in provisioner.sys.list_acl_policies()["data"]["keys"]
    entities = provisioner.secrets.identity.list_entities_by_name()["data"]["keys"]
    assert "dev-billing" not in entities
    database = Database(platform)
    with database.connect() as session:
        left = session.execute(
            "SELECT rolname FROM pg_roles WHERE rolname ~ '^(billing|v-[^-]*-billing)'"
        ).fetchall()
    database.close()
    assert left == []
