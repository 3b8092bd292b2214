"""Vault policies, as text. Each says what its holder may do, and no more."""

from __future__ import annotations


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
            _rule("auth/+/config", *_MANAGE),
            _rule("identity/*", *_MANAGE),
            _rule("+/config/*", *_MANAGE),
            _rule("+/roles/*", *_MANAGE),
            _rule("+/static-roles/*", *_MANAGE),
            _rule("+/rotate-root/*", "update"),
            _rule("+/rotate-role/*", "update"),
            _rule("+/creds/*", "deny"),
            _rule("+/static-creds/*", "deny"),
        ]
    )


def service(
    database_mount: str, role: str, read_only_role: str, static_role: str | None = None
) -> str:
    """Return the policy of a service: its own roles' credentials, and giving a lease back."""
    static = [_rule(f"{database_mount}/static-creds/{static_role}", "read")] if static_role else []
    return "".join(
        [
            _rule(f"{database_mount}/creds/{role}", "read"),
            _rule(f"{database_mount}/creds/{read_only_role}", "read"),
            *static,
            _rule("sys/leases/revoke", "update"),
        ]
    )


def _tuning(path: str, *parameters: str) -> str:
    """Return the right to read what is at `path` and change these parameters, and no other."""
    listed = ", ".join(f'"{parameter}" = []' for parameter in parameters)
    return (
        f'path "{path}" {{ capabilities = ["read", "update"]\n'
        f"  allowed_parameters = {{ {listed} }} }}\n"
    )


def drill_operator(database_mount: str, roles: list[str]) -> str:
    """Return the policy of the drills: what the faults and probes need.

    It may take a credential of the drilled roles, as the canary that must be refused afterwards.
    Of those roles it may change how long a lease lives, not what SQL makes one; what it adds
    (quotas, audit devices) has names of its own, so that nothing of the stack's can be overwritten.
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
            _rule("sys/leases/revoke", "update"),
            *(
                _tuning(f"{database_mount}/roles/{role}", "default_ttl", "max_ttl")
                for role in roles
            ),
            _rule(f"{database_mount}/rotate-root/*", "update"),
            _rule("sys/quotas/rate-limit/drill-*", "create", "read", "update", "delete", "sudo"),
            _rule("sys/step-down", "update", "sudo"),
            _rule("sys/storage/raft/autopilot/state", "read"),
            _rule("sys/storage/raft/configuration", "read"),
            _rule("sys/metrics", "read", "list"),
            # `drill audit`: which rights nobody uses, and what identities are called
            _rule("sys/policies/acl", "list"),
            _rule("sys/policies/acl/*", "read"),
            _rule("identity/entity/id/*", "read"),
        ]
    )


def rotate_operator(database_mount: str, approle_mount: str, services: dict[str, list[str]]) -> str:
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
        ]
    )
