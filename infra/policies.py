"""Vault policies, as text. Each says what its holder may do, and no more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra import role_sql, skew_sql
from infra.service_settings import DEFAULT_DATABASE


def _rule(path: str, *capabilities: str) -> str:
    listed = ", ".join(f'"{capability}"' for capability in capabilities)
    return f'path "{path}" {{ capabilities = [{listed}] }}\n'


_MANAGE = ("create", "read", "update", "delete", "list")


def provisioner() -> str:
    """Return the policy of `pulumi up`: it declares everything, and reads no credential.

    Whoever writes policies could give themselves more; that shows in the audit log as a policy
    change, which is the point of keeping `creds` out.
    """
    return "".join(
        [
            _rule("sys/mounts", "read", "list"),
            _rule("sys/mounts/*", *_MANAGE, "sudo"),
            _rule("sys/remount", "update", "sudo"),
            _rule("sys/auth", "read", "list", "sudo"),
            _rule("sys/auth/*", *_MANAGE, "sudo"),
            _rule("sys/policies/*", *_MANAGE),
            _rule("sys/policy/*", *_MANAGE),
            _rule("sys/audit", "read", "list", "sudo"),
            _rule("sys/audit/*", *_MANAGE, "sudo"),
            _rule("sys/config/*", *_MANAGE, "sudo"),
            _rule("sys/quotas/*", *_MANAGE, "sudo"),
            _rule("sys/storage/raft/*", *_MANAGE, "sudo"),
            _rule("sys/leases/*", *_MANAGE, "sudo"),
            _rule("sys/internal/ui/mounts/*", "read"),
            _rule("auth/token/create", "create", "update", "sudo"),
            _rule("auth/token/create-orphan", "create", "update", "sudo"),
            _rule("auth/token/*", *_MANAGE, "sudo"),
            _rule("auth/+/role/*", *_MANAGE),
            _rule("auth/+/certs/*", *_MANAGE),
            _rule("auth/+/config", *_MANAGE),
            _rule("identity/*", *_MANAGE),
            _rule("+/config/*", *_MANAGE),
            _rule("+/roles/*", *_MANAGE),
            _rule("+/static-roles/*", *_MANAGE),
            _rule("+/rotate-root/*", "update"),
            _rule("+/rotate-role/*", "update"),
            # what is known of a secret, not the secret
            _rule("+/metadata/*", *_MANAGE),
            _rule("+/keys/*", *_MANAGE),
            _rule("+/issuers/generate/+/internal", "create", "update"),
            _rule("+/issuer/*", *_MANAGE),
            _rule("+/key/*", *_MANAGE),
            _rule("+/root", "delete", "sudo"),
            _rule("+/root/sign-intermediate", "create", "update"),
            _rule("+/intermediate/set-signed", "create", "update"),
            _rule("+/creds/*", "deny"),
            _rule("+/static-creds/*", "deny"),
            _rule("+/data/*", "deny"),
        ]
    )


def service(
    database_mount: str,
    role: str,
    read_only_role: str,
    static_role: str | None = None,
    secrets: Sequence[str] = (),
) -> str:
    """Return the policy of a service: its own roles' credentials, its own `secrets` (paths in the
    API), and giving a lease back."""
    static = [_rule(f"{database_mount}/static-creds/{static_role}", "read")] if static_role else []
    return "".join(
        [
            _rule(f"{database_mount}/creds/{role}", "read"),
            _rule(f"{database_mount}/creds/{read_only_role}", "read"),
            *static,
            *(_rule(path, "read") for path in secrets),
            _rule("sys/leases/revoke", "update"),
        ]
    )


def _hcl(value: Any) -> str:
    """Return strings, lists and maps as HCL writes them: as JSON does, but for the colon."""
    if isinstance(value, list):
        return f"[{', '.join(_hcl(each) for each in value)}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(k)} = {_hcl(v)}' for k, v in value.items())} }}"
    return json.dumps(value)


def _pinned(path: str, allowed: dict[str, list[Any]], *capabilities: str) -> str:
    """Return the right to send these parameters to `path` and no other; each with one of the
    listed values, or any where none is listed."""
    granted = ", ".join(f'"{capability}"' for capability in capabilities)
    listed = ", ".join(f'"{name}" = {_hcl(values)}' for name, values in allowed.items())
    return (
        f'path "{path}" {{ capabilities = [{granted}]\n  allowed_parameters = {{ {listed} }} }}\n'
    )


def drill_operator(
    database_mount: str,
    roles: dict[str, list[str]],
    *,
    static_roles: Sequence[str] = (),
    audit_dir: Path | None = None,
) -> str:
    """Return the policy of the drills: what the faults and probes need.

    `roles` holds each dynamic role's creation SQL. The operator may take a credential of those
    roles, as the canary that must be refused afterwards. It may change how long their leases live;
    of their SQL it may choose between the stack's own and the same with VALID UNTIL too early.
    The audit device that it may add writes to one pipe under `audit_dir` (None: it may add none).
    What it adds has names of its own, so that nothing of the stack's can be overwritten.
    """
    return "".join(
        [
            *(_rule(f"{database_mount}/creds/{role}", "read") for role in roles),
            *(
                _rule(f"sys/leases/{verb}/{database_mount}/creds/{role}", "update", "list", "sudo")
                for verb in ("revoke-prefix", "lookup")
                for role in roles
            ),
            *(
                _rule(f"sys/leases/{verb}/{database_mount}/creds/{role}/*", *rights, "sudo")
                for verb, rights in (("revoke-prefix", ("update",)), ("lookup", ("list", "update")))
                for role in roles
            ),
            # logins of services are leases too
            _rule("sys/leases/lookup/auth/approle/login", "list", "sudo"),
            _rule("sys/leases/lookup/auth/approle/login/", "list", "sudo"),
            _rule("sys/leases/lookup", "update"),
            _rule("sys/leases/renew", "update"),
            _rule("sys/leases/revoke", "update"),
            *(
                _pinned(
                    f"{database_mount}/roles/{role}",
                    {
                        "default_ttl": [],
                        "max_ttl": [],
                        "creation_statements": _skewed(creation),
                        "renew_statements": _skewed(role_sql.renewal()),
                    },
                    *("read", "update"),
                )
                for role, creation in roles.items()
            ),
            *(
                _rule(f"{database_mount}/{verb}/{role}", right)
                for role in static_roles
                for verb, right in (("static-creds", "read"), ("rotate-role", "update"))
            ),
            *([_audit_device(audit_dir)] if audit_dir else []),
            _rule("sys/audit", "read", "sudo"),
            _rule("sys/audit-hash/*", "update"),
            _rule(f"{database_mount}/rotate-root/{DEFAULT_DATABASE}", "update"),
            _rule("sys/quotas/rate-limit/drill-*", "create", "read", "update", "delete", "sudo"),
            _rule("sys/step-down", "update", "sudo"),
            _rule("sys/storage/raft/autopilot/state", "read"),
            _rule("sys/storage/raft/configuration", "read"),
            _rule("sys/metrics", "read", "list"),
            # `drill audit`: which rights nobody uses, and what identities are called
            _rule("sys/policies/acl", "list"),
            _rule("sys/policies/acl/*", "read"),
            _rule("identity/entity/id/*", "read"),
            _rule("identity/entity/name/*", "read"),
        ]
    )


def policy_operator() -> str:
    """Return the policy of who changes policies: every one but those that they hold themselves,
    so that nobody gives themselves what they lack; and no secret."""
    return "".join(
        [
            _rule("sys/policies/acl", "list"),
            _rule("sys/policies/acl/*", *_MANAGE),
            _rule("sys/policies/acl/policy-operator", "read"),
            _rule("sys/policies/acl/default", "read"),
        ]
    )


def secret_operator(secrets: Sequence[str]) -> str:
    """Return the policy of who writes and reads the values at these paths; and no policy."""
    return "".join(_rule(path, "create", "read", "update") for path in secrets)


def rotate_operator(
    database_mount: str,
    approle_mount: str,
    services: dict[str, list[str]],
    static_roles: Sequence[str] = (),
) -> str:
    """Return the policy of `drill rotate`: end what a service holds, and see that it ended.

    `services` maps each service to its dynamic roles. It issues nothing: a new secret id is
    declared by `pulumi up`. It may look at every token and end it, since a token can't be asked
    for by its service; hence no token holds this policy but while a rotation runs.
    """
    roles = [role for own in services.values() for role in own]
    logins = [f"auth/{approle_mount}/role/{service}" for service in services]
    leases = [f"{database_mount}/creds/{role}" for role in roles]
    return "".join(
        [
            *(_rule(f"{login}/secret-id", "list") for login in logins),
            *(_rule(f"{login}/secret-id-accessor/destroy", "update") for login in logins),
            _rule("auth/token/accessors", "list", "sudo"),
            _rule("auth/token/lookup-accessor", "update"),
            _rule("auth/token/revoke-accessor", "update"),
            *(_rule(f"sys/leases/revoke-prefix/{lease}", "update", "sudo") for lease in leases),
            *(_rule(f"sys/leases/lookup/{lease}", "list", "sudo") for lease in leases),
            *(_rule(f"{database_mount}/rotate-role/{role}", "update") for role in static_roles),
        ]
    )


def _skewed(statements: list[str]) -> list[Any]:
    [statement] = statements
    return [statement, *(skew_sql.ahead(statement, seconds) for seconds in skew_sql.AHEAD_SECONDS)]


def _audit_device(audit_dir: Path) -> str:
    """Return the right to add, and take away, the one audit device that blocks."""
    options = {"file_path": str(audit_dir / "drill-blocked.fifo"), "mode": "0000"}
    allowed: dict[str, list[Any]] = {"type": ["file"], "options": [options]}
    path = "sys/audit/drill-blocked"
    return _pinned(path, allowed, "create", "update", "delete", "sudo")
