"""Defect of the configuration: Vault's default revocation SQL, which drops the role and lets its
sessions live on. `sessions_on_revoked_roles` ought to catch it."""

from drills.prove.defects import Defect

DEFECT = Defect(
    faults=(
        (
            "vault-setting",
            {"path": "database/roles/orders", "values": {"revocation_statements": []}},
        ),
    ),
    caught_by={"session-outlives-revocation": ("sessions_on_revoked_roles",)},
)
