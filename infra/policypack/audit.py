"""Rule: somebody writes down who did what, and one that fails does not stop Vault."""

from __future__ import annotations

from pulumi_policy import ReportViolation, StackValidationArgs, StackValidationPolicy

AUDIT = "vault:index/audit:Audit"
_IN_VAULT = "vault:"


def two_devices(args: StackValidationArgs, report: ReportViolation) -> None:
    """Refuse a Vault with anything declared in it and fewer than two audit devices."""
    declared = [each for each in args.resources if each.resource_type.startswith(_IN_VAULT)]
    devices = [each for each in declared if each.resource_type == AUDIT]
    if declared and not devices:
        report("no audit device is declared: nobody could say who read what", None)
    elif len(devices) == 1:
        report(
            "one audit device alone: when it can't write, Vault answers nobody; declare a second",
            devices[0].urn,
        )


POLICIES = [
    StackValidationPolicy(
        name="two-audit-devices",
        description="Vault has two audit devices.",
        validate=two_devices,
    )
]
