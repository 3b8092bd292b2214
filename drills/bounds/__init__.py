"""Bounds: pure functions of a run's history, one a file, composed by name."""

from __future__ import annotations

from typing import Any

from drills.bounds import (
    drain_seconds,
    duplicate_effects,
    excess_capabilities,
    failed_ratio,
    failed_requests,
    irrevocable_leases,
    issue_delay_seconds,
    issues_peak,
    issues_per_client,
    leaderless_seconds,
    leaked_secrets,
    leases_left,
    longest_request_seconds,
    lost_leases,
    old_login_accepted,
    orphan_roles,
    p99_seconds,
    recovery_seconds,
    renewal_peak,
    renewals_per_client,
    revoked_roles_left,
    sessions_on_revoked_roles,
    static_sessions,
    unsealed_voters,
    untraced_leases,
)
from drills.bounds.base import Bound, BoundParams, Finding, evaluate

__all__ = ["BOUNDS", "Bound", "BoundParams", "Finding", "evaluate"]

BOUNDS: dict[str, Bound[Any]] = {
    module.BOUND.name: module.BOUND
    for module in (
        failed_ratio,
        failed_requests,
        recovery_seconds,
        p99_seconds,
        longest_request_seconds,
        renewal_peak,
        renewals_per_client,
        issues_per_client,
        issues_peak,
        issue_delay_seconds,
        lost_leases,
        drain_seconds,
        leases_left,
        duplicate_effects,
        revoked_roles_left,
        sessions_on_revoked_roles,
        static_sessions,
        old_login_accepted,
        orphan_roles,
        irrevocable_leases,
        leaderless_seconds,
        unsealed_voters,
        excess_capabilities,
        untraced_leases,
        leaked_secrets,
    )
}
"""Every bound by its name, in the order in which the documentation tells them."""
