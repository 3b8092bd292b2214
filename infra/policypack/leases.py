"""Rules: no lease outlives the stack's limit, and production is drilled in a window alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi_policy import (
    PolicyResource,
    ReportViolation,
    StackValidationArgs,
    StackValidationPolicy,
)

from infra.engine_settings import LeaseLimits
from infra.terms import TERMS

_ROLE = "vault:database/secretBackendRole:SecretBackendRole"
_LOGINS = (
    "vault:appRole/authBackendRole:AuthBackendRole",
    "vault:jwt/authBackendRole:AuthBackendRole",
    "vault:kubernetes/authBackendRole:AuthBackendRole",
    "vault:index/certAuthBackendRole:CertAuthBackendRole",
)


def _terms(args: StackValidationArgs) -> Mapping[str, Any]:
    return next((each.props for each in args.resources if each.resource_type == TERMS), {})


def _check(each: PolicyResource, key: str, limit: int, report: ReportViolation) -> None:
    value = int(each.props.get(key) or 0)
    if not value:
        report(f"{each.name}: {key} is left out, which is 32 days: at most {limit} s", each.urn)
    elif value > limit:
        report(f"{each.name}: {key} is {value} s: at most {limit} s", each.urn)


def within_limits(args: StackValidationArgs, report: ReportViolation) -> None:
    """Refuse a role whose leases, or a login whose tokens, live longer than the stack allows."""
    terms, default = _terms(args), LeaseLimits()
    ttl = int(terms.get("ttl_limit") or default.ttl)
    max_ttl = int(terms.get("max_ttl_limit") or default.max_ttl)
    for each in args.resources:
        if each.resource_type == _ROLE:
            _check(each, "defaultTtl", ttl, report)
            _check(each, "maxTtl", max_ttl, report)
        elif each.resource_type in _LOGINS:
            _check(each, "tokenMaxTtl", max_ttl, report)


def drilled_in_a_window(args: StackValidationArgs, report: ReportViolation) -> None:
    """Refuse a production stack that allows drills at any time."""
    terms = _terms(args)
    if terms.get("production") and terms.get("drills_allowed") and not terms.get("drill_window"):
        report("drills are allowed on production at any time: give drills:window", None)


POLICIES = [
    StackValidationPolicy(
        name="leases-within-limits",
        description="No lease or token lives longer than leaseLimits.",
        validate=within_limits,
    ),
    StackValidationPolicy(
        name="production-drills-in-a-window",
        description="Drills on production run in a window.",
        validate=drilled_in_a_window,
    ),
]
