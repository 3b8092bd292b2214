"""Defect of the configuration: revocation that ends sessions and drops the role, but not what the
role owns: DROP ROLE fails for ever. `revoked_roles_left` ought to catch it, where a role owns
something."""

from drills.prove.defects import Defect

_STATEMENTS = [
    'ALTER ROLE "{{name}}" NOLOGIN;',
    "COMMIT;",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}';",
    'DROP ROLE IF EXISTS "{{name}}";',
]

DEFECT = Defect(
    faults=(
        (
            "vault-setting",
            {"path": "database/roles/orders", "values": {"revocation_statements": _STATEMENTS}},
        ),
    ),
    caught_by={
        "role-owns-objects": ("revoked_roles_left", "orphan_roles", "irrevocable_leases"),
    },
)
