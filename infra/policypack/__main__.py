"""Where Pulumi enters the policy pack; serves it until the engine is done."""

from __future__ import annotations

from pulumi_policy import EnforcementLevel, PolicyPack

from infra.policypack import access, audit, database, leases, transport

PolicyPack(
    name="rotation-drills",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        *audit.POLICIES,
        *access.POLICIES,
        *leases.POLICIES,
        *database.POLICIES,
        *transport.POLICIES,
    ],
)
