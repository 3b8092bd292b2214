"""The Pulumi program under mocks: what it declares, without any server."""

from __future__ import annotations

from typing import Any

import pytest
from program_mocks import Recorder, run_program
from pulumi.runtime import rpc

from infra.platform import Platform

CONFIG = {
    "drills:allowed": "true",
    "rotation-drills:basePort": "28200",
    "rotation-drills:services": (
        '[{"name":"orders","ttl":"60s","maxTtl":"5m"},{"name":"billing","ttl":"1m","maxTtl":"1h",'
        '"static":{"username":"billing_batch","rotationPeriod":"1d"}}]'
    ),
}


@pytest.fixture(scope="module")
def program() -> tuple[Recorder, dict[str, Any]]:
    return run_program(CONFIG)


def unwrapped(value: Any) -> Any:
    return rpc.unwrap_rpc_secret(value)


def test_outputs_validate_as_platform(program: tuple[Recorder, dict[str, Any]]) -> None:
    """What the stack puts out is a `Platform`, with every service in it."""
    _recorder, outputs = program
    platform = Platform.model_validate({name: value for name, (value, _) in outputs.items()})
    assert [service.name for service in platform.services] == ["orders", "billing"]
    assert len(platform.vault.nodes) == 3
    assert platform.drills.allowed


def test_outputs_with_secrets_are_secret(program: tuple[Recorder, dict[str, Any]]) -> None:
    """Each output that holds a token, key or password is marked as secret."""
    _recorder, outputs = program
    secret = {name for name, (_, is_secret) in outputs.items() if is_secret}
    assert secret == {"vault", "postgres", "services"}


def test_two_audit_devices_before_any_credential(
    program: tuple[Recorder, dict[str, Any]],
) -> None:
    """There are two audit devices, each with a file of its own."""
    recorder, _outputs = program
    devices = recorder.of("vault:index/audit:Audit")
    assert len({device["options"]["file_path"] for device in devices.values()}) == 2


def test_dynamic_roles_are_short_lived_and_end_sessions(
    program: tuple[Recorder, dict[str, Any]],
) -> None:
    """Each service has a writing and a reading role whose revocation ends its sessions."""
    recorder, _outputs = program
    roles = recorder.of("vault:database/secretBackendRole:SecretBackendRole")
    assert {role["name"] for role in roles.values()} == {
        "orders",
        "orders-ro",
        "billing",
        "billing-ro",
    }
    for role in roles.values():
        revocation = "".join(role["revocationStatements"])
        assert "NOLOGIN" in revocation
        assert "pg_terminate_backend" in revocation
        assert "DROP ROLE" in revocation
        assert role["defaultTtl"] <= role["maxTtl"]
    orders = next(role for role in roles.values() if role["name"] == "orders")
    assert (orders["defaultTtl"], orders["maxTtl"]) == (60, 300)
    assert '"orders_rw"' in orders["creationStatements"][0]


def test_service_policy_is_four_lines(program: tuple[Recorder, dict[str, Any]]) -> None:
    """A service may read its two roles' credentials and its secrets, and give leases back."""
    recorder, _outputs = program
    policies = recorder.of("vault:index/policy:Policy")
    lines = policies["orders-policy"]["policy"].strip().splitlines()
    assert lines == [
        'path "database/creds/orders" { capabilities = ["read"] }',
        'path "database/creds/orders-ro" { capabilities = ["read"] }',
        'path "secret/data/dev/orders/config" { capabilities = ["read"] }',
        'path "sys/leases/revoke" { capabilities = ["update"] }',
    ]
    assert "*" not in "".join(lines)


def test_static_role_is_vaults_alone(program: tuple[Recorder, dict[str, Any]]) -> None:
    """A static role's login has a write-only first password, and Vault may set it another."""
    recorder, outputs = program
    ((_, static),) = recorder.of(
        "vault:database/secretBackendStaticRole:SecretBackendStaticRole"
    ).items()
    assert (static["name"], static["username"]) == ("billing-static", "billing_batch")
    assert static["rotationPeriod"] == 86400
    login = recorder.of("postgresql:index/role:Role")["billing-static-login"]
    assert login["login"] is True
    assert "password" not in login
    assert login["passwordWoVersion"] == "1"
    assert login["roles"] == ["billing_rw"]
    member = recorder.of("postgresql:index/grantRole:GrantRole")["billing-static-login-by-vault"]
    assert (member["role"], member["withAdminOption"]) == ("vault_admin", True)
    (connection,) = recorder.of(
        "vault:database/secretBackendConnection:SecretBackendConnection"
    ).values()
    assert "billing-static" in connection["allowedRoles"]
    policy = recorder.of("vault:index/policy:Policy")["billing-policy"]["policy"]
    assert 'path "database/static-creds/billing-static" { capabilities = ["read"] }' in policy
    platform = Platform.model_validate({name: value for name, (value, _) in outputs.items()})
    told = platform.service("billing").static
    assert told is not None
    assert (told.username, told.rotation_period_seconds) == ("billing_batch", 86400)
    assert platform.service("orders").static is None


def test_a_service_gives_its_leases_back_when_it_goes(
    program: tuple[Recorder, dict[str, Any]],
) -> None:
    """Each service has a drain over its own two roles, beside the one over all of the engine."""
    recorder, _outputs = program
    drains = recorder.of("pulumi-python:dynamic/vault:LeaseDrain")
    assert {name: each["prefixes"] for name, each in drains.items()} == {
        "database-lease-drain": ["database/creds"],
        "orders-lease-drain": ["database/creds/orders", "database/creds/orders-ro"],
        "billing-lease-drain": ["database/creds/billing", "database/creds/billing-ro"],
    }


def test_everything_in_vault_comes_after_the_audit_devices(
    program: tuple[Recorder, dict[str, Any]],
) -> None:
    """No mount, method, role or policy is there before somebody writes down who uses it."""
    recorder, _outputs = program
    made = [each.typ for each in recorder.resources if each.typ.startswith("vault:")]
    last_audit = max(i for i, kind in enumerate(made) if kind == "vault:index/audit:Audit")
    first_other = min(
        i
        for i, kind in enumerate(made)
        if kind.startswith(("vault:index/mount", "vault:index/authBackend", "vault:index/policy"))
    )
    assert last_audit < first_other


def test_audit_can_name_each_service(program: tuple[Recorder, dict[str, Any]]) -> None:
    """Each service is an entity with its name, an alias of its login, and in the group."""
    recorder, _outputs = program
    entities = recorder.of("vault:identity/entity:Entity")
    assert {name: each["metadata"]["service"] for name, each in entities.items()} == {
        "orders-entity": "orders",
        "billing-entity": "billing",
    }
    alias = recorder.of("vault:identity/entityAlias:EntityAlias")["orders-entity-alias"]
    assert (alias["name"], alias["canonicalId"]) == ("role-id", "orders-entity-id")
    group = recorder.of("vault:identity/group:Group")["services-group"]
    assert sorted(group["memberEntityIds"]) == ["billing-entity-id", "orders-entity-id"]


def test_policies_and_secrets_are_different_hands(
    program: tuple[Recorder, dict[str, Any]],
) -> None:
    """Who changes policies reads no secret and not their own policy; and the other way round."""
    recorder, _outputs = program
    policies = recorder.of("vault:index/policy:Policy")
    changes = policies["operators-policy-operator"]["policy"]
    reads = policies["operators-secret-operator"]["policy"]
    assert "secret/" not in changes
    assert "creds" not in changes
    assert 'path "sys/policies/acl/policy-operator" { capabilities = ["read"] }' in changes
    assert "sys/" not in reads
    assert reads.splitlines() == [
        f'path "secret/data/dev/{each}/config" {{ capabilities = ["create", "read", "update"] }}'
        for each in ("orders", "billing")
    ]


def test_vaults_admin_is_no_superuser(program: tuple[Recorder, dict[str, Any]]) -> None:
    """Vault logs in to Postgres as a role that may create roles and is no superuser."""
    recorder, _outputs = program
    roles = recorder.of("postgresql:index/role:Role")
    admin = roles["postgres-vault-admin"]
    assert admin["createRole"] is True
    assert not admin.get("superuser")
    assert "password" not in admin  # write-only: never sent back after a rotation
    assert not any(role.get("superuser") for role in roles.values())


def test_connection_password_is_write_only(program: tuple[Recorder, dict[str, Any]]) -> None:
    """The connection's password goes in by the write-only input, over verified TLS."""
    recorder, _outputs = program
    (connection,) = recorder.of(
        "vault:database/secretBackendConnection:SecretBackendConnection"
    ).values()
    postgresql = unwrapped(connection["postgresql"])
    assert "password" not in postgresql, list(postgresql)
    assert postgresql["passwordWo"] == "made-up-postgres-vault-admin-password"
    assert "sslmode=verify-full" in postgresql["connectionUrl"]
    assert "made-up" not in postgresql["connectionUrl"]


def test_secret_id_has_a_ttl(program: tuple[Recorder, dict[str, Any]]) -> None:
    """The secret id gives its ttl: the provider would replace it at every `up` without."""
    recorder, _outputs = program
    kind = "vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId"
    assert all(each["ttl"] > 0 for each in recorder.of(kind).values())


def test_proxies_stand_on_every_way(program: tuple[Recorder, dict[str, Any]]) -> None:
    """There is a proxy for each Vault node, and one on either side of Postgres."""
    recorder, _outputs = program
    (proxy,) = recorder.of("pulumi-python:dynamic/proxy:FaultProxy").values()
    assert [each["name"] for each in proxy["proxies"]] == [
        "vault-1",
        "vault-2",
        "vault-3",
        "postgres",
        "vault-to-postgres",
    ]


def test_nothing_is_left_to_default_providers(program: tuple[Recorder, dict[str, Any]]) -> None:
    """Every resource of Vault and Postgres names its provider."""
    recorder, _outputs = program
    for each in recorder.resources:
        if each.typ.startswith(("vault:", "postgresql:")):
            assert each.provider, each.name
