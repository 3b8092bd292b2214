"""The committed stacks: one program, told apart by their configuration alone; no rule is broken."""

from __future__ import annotations

import json
from typing import Any

import pytest
from program_mocks import Recorder, run_program, stack_config
from pulumi.runtime import rpc
from pulumi_policy import (
    PolicyProviderResource,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from infra.platform import Platform
from infra.policypack import access, audit, database, leases, transport
from infra.terms import TERMS

Program = tuple[Recorder, dict[str, Any]]
POLICIES = {
    each.name: each
    for module in (access, audit, database, leases, transport)
    for each in module.POLICIES
}
_OPTIONS = PolicyResourceOptions(False, [], None, [], None, [], None)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def programs() -> dict[str, Program]:
    return {each: run_program(stack_config(each), each) for each in ("dev", "staging", "prod")}


def _resource(kind: str, props: dict[str, Any], name: str = "x") -> PolicyResource:
    provider: PolicyProviderResource | None = None
    plain = {key: rpc.unwrap_rpc_secret(value) for key, value in props.items()}
    return PolicyResource(kind, plain, f"urn::{name}", name, _OPTIONS, provider, None, [], {})


def broken(resources: list[PolicyResource]) -> dict[str, list[str]]:
    """What the pack says of these resources: rule → messages."""
    found: dict[str, list[str]] = {}

    def reporter(name: str) -> Any:
        return lambda message, _urn: found.setdefault(name, []).append(message)

    for name, policy in POLICIES.items():
        if isinstance(policy, ResourceValidationPolicy):
            for each in resources:
                args = ResourceValidationArgs(
                    each.resource_type, each.props, each.urn, each.name, _OPTIONS, None, {}, {}
                )
                policy.validate(args, reporter(name))
        else:
            assert isinstance(policy, StackValidationPolicy)
            policy.validate(StackValidationArgs(resources, {}, {}), reporter(name))
    return found


def declared(program: Program) -> list[PolicyResource]:
    recorder, _ = program
    return [_resource(each.typ, each.inputs, each.name) for each in recorder.resources]


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_a_committed_stack_breaks_no_rule(programs: dict[str, Program], stack: str) -> None:
    """The policy pack has nothing to say of the stacks that are committed."""
    assert broken(declared(programs[stack])) == {}


def test_stacks_differ_by_configuration_alone(programs: dict[str, Program]) -> None:
    """Staging and prod have five nodes and longer leases; prod allows no drill."""
    platforms = {
        stack: Platform.model_validate({name: value for name, (value, _) in outputs.items()})
        for stack, (_, outputs) in programs.items()
    }
    assert {stack: len(each.vault.nodes) for stack, each in platforms.items()} == {
        "dev": 3,
        "staging": 5,
        "prod": 5,
    }
    assert {stack: each.drills.allowed for stack, each in platforms.items()} == {
        "dev": True,
        "staging": True,
        "prod": False,
    }
    ttls = [
        platforms[stack].services[0].default_ttl_seconds for stack in ("dev", "staging", "prod")
    ]
    assert ttls == sorted(set(ttls))
    ports = [node.address for each in platforms.values() for node in each.vault.nodes]
    assert len(set(ports)) == len(ports), "two stacks can't be up at once on one machine"


def test_engines_are_there_where_a_stack_asks(programs: dict[str, Program]) -> None:
    """Dev has the database engine and KV alone; prod has PKI and transit beside them."""
    mounts = {
        stack: {each["type"] for each in recorder.of("vault:index/mount:Mount").values()}
        for stack, (recorder, _) in programs.items()
    }
    assert mounts["dev"] == {"database", "kv"}
    assert mounts["prod"] == {"database", "kv", "pki", "transit"}


def test_third_party_keys_have_owner_and_date_and_no_value(programs: dict[str, Program]) -> None:
    """What Pulumi writes of a third party's key is whose it is and until when; never its value."""
    recorder, outputs = programs["prod"]
    ((_, endpoint),) = recorder.of("vault:generic/endpoint:Endpoint").items()
    assert endpoint["path"] == "secret/metadata/prod/orders/payments"
    assert json.loads(rpc.unwrap_rpc_secret(endpoint["dataJson"])) == {
        "custom_metadata": {"owner": "payments team", "rotate_by": "2027-01-31"}
    }
    assert outputs["api_keys"][0] == [
        {"path": "secret/prod/orders/payments", "owner": "payments team", "rotate_by": "2027-01-31"}
    ]


ROLE = "vault:database/secretBackendRole:SecretBackendRole"
GOOD_ROLE: dict[str, Any] = {
    "name": "orders",
    "defaultTtl": 60,
    "maxTtl": 300,
    "creationStatements": ['CREATE ROLE "{{name}}" LOGIN NOSUPERUSER IN ROLE "orders_rw"'],
    "revocationStatements": ["SELECT pg_terminate_backend(1); DROP ROLE x"],
}
AUDITS = [_resource(audit.AUDIT, {"path": f"file-{n}"}, f"audit-{n}") for n in (1, 2)]


def test_the_good_example_breaks_no_rule() -> None:
    """Each case below differs from this one in one thing."""
    assert broken([*AUDITS, _resource(ROLE, GOOD_ROLE)]) == {}


@pytest.mark.parametrize(
    ("rule", "resources"),
    [
        ("two-audit-devices", [_resource(ROLE, GOOD_ROLE)]),
        ("two-audit-devices", [AUDITS[0], _resource(ROLE, GOOD_ROLE)]),
        ("no-root-token", [*AUDITS, _resource("vault:index/token:Token", {"policies": ["root"]})]),
        ("no-root-token", [*AUDITS, _resource("x:y:Servers", {"root_token": "made-up"})]),
        ("leases-within-limits", [*AUDITS, _resource(ROLE, {**GOOD_ROLE, "defaultTtl": 7200})]),
        ("leases-within-limits", [*AUDITS, _resource(ROLE, {**GOOD_ROLE, "maxTtl": 10**6})]),
        ("leases-within-limits", [*AUDITS, _resource(ROLE, {**GOOD_ROLE, "maxTtl": None})]),
        (
            "leases-within-limits",
            [
                *AUDITS,
                _resource(ROLE, GOOD_ROLE),
                _resource(TERMS, {"ttl_limit": 30, "max_ttl_limit": 300}),
            ],
        ),
        (
            "creation-sql-gives-no-more",
            [
                *AUDITS,
                _resource(ROLE, {**GOOD_ROLE, "creationStatements": ["GRANT ALL ON t TO PUBLIC"]}),
            ],
        ),
        (
            "creation-sql-gives-no-more",
            [
                *AUDITS,
                _resource(ROLE, {**GOOD_ROLE, "creationStatements": ["CREATE ROLE x SUPERUSER"]}),
            ],
        ),
        (
            "creation-sql-gives-no-more",
            [
                *AUDITS,
                _resource(
                    ROLE, {**GOOD_ROLE, "creationStatements": ['CREATE ROLE x IN ROLE "postgres"']}
                ),
            ],
        ),
        (
            "revocation-sql-ends-sessions",
            [*AUDITS, _resource(ROLE, {**GOOD_ROLE, "revocationStatements": ["DROP ROLE x"]})],
        ),
        (
            "revocation-sql-ends-sessions",
            [*AUDITS, _resource(ROLE, {**GOOD_ROLE, "revocationStatements": None})],
        ),
        (
            "production-drills-in-a-window",
            [*AUDITS, _resource(TERMS, {"production": True, "drills_allowed": True})],
        ),
        (
            "tls-everywhere",
            [*AUDITS, _resource("pulumi:providers:vault", {"address": "http://v:8200"})],
        ),
        (
            "tls-everywhere",
            [*AUDITS, _resource("pulumi:providers:vault", {"skipTlsVerify": "true"})],
        ),
        (
            "tls-everywhere",
            [*AUDITS, _resource("pulumi:providers:postgresql", {"sslmode": "prefer"})],
        ),
        (
            "tls-everywhere",
            [
                *AUDITS,
                _resource(
                    "vault:database/secretBackendConnection:SecretBackendConnection",
                    {"postgresql": {"connectionUrl": "postgresql://h/d?sslmode=require"}},
                ),
            ],
        ),
    ],
)
def test_each_rule_refuses_what_breaks_it(rule: str, resources: list[PolicyResource]) -> None:
    """A stack that breaks one rule is refused by that rule, and by no other."""
    assert list(broken(resources)) == [rule]


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("*", True),
        ("sys/*", True),
        ("+/creds/orders", True),
        ("secret/*", True),
        ("secret/data/dev/+/config", True),
        ("database/creds/*", True),
        ("identity/*", True),
        ("secret/data/dev/orders/config", False),
        ("database/creds/orders", False),
        ("sys/policies/acl/*", False),
        ("sys/leases/lookup/database/creds/orders/*", False),
    ],
)
def test_wildcards_over_secrets_are_refused(path: str, refused: bool) -> None:
    """A wildcard that reaches more than one place's secrets is refused; below a place it may be."""
    policy = {"policy": f'path "{path}" {{ capabilities = ["read"] }}\n'}
    found = broken([*AUDITS, _resource("vault:index/policy:Policy", policy)])
    assert list(found) == (["no-wildcard-paths"] if refused else [])


def test_a_denied_wildcard_is_no_grant() -> None:
    """A wildcard that denies takes away, and is not refused."""
    policy = {"policy": 'path "secret/*" { capabilities = ["deny"] }\n'}
    assert broken([*AUDITS, _resource("vault:index/policy:Policy", policy)]) == {}
