"""The server itself: mounts, auth methods, audit devices, policies, quotas, raft, tokens."""

from __future__ import annotations

from tools.offline_plugins.spec import sets, words
from tools.offline_plugins.vault.endpoint import Endpoint
from tools.offline_plugins.vault.kinds.mounts import (
    AuditKind,
    AuthKind,
    MountKind,
    RequestHeaderKind,
)
from tools.offline_plugins.vault.kinds.tokens import TokenKind

_AUTOPILOT_DEFAULTS = {
    "cleanup_dead_servers": False,
    "dead_server_last_contact_threshold": "24h0m0s",
    "last_contact_threshold": "10s",
    "max_trailing_logs": 1000,
    "min_quorum": 3,
    "server_stabilization_time": "10s",
}

TYPES = (
    Endpoint(
        resource="vault:index/mount:Mount",
        path="sys/mounts/{path}",
        identifier="{path}",
        kind=MountKind,
        replaces=words("externalEntropyAccess local namespace sealWrap type"),
        computed=words(
            "defaultLeaseTtlSeconds maxLeaseTtlSeconds auditNonHmacRequestKeys "
            "auditNonHmacResponseKeys sealWrap listingVisibility identityTokenKey"
        ),
        kept={"pluginVersion": None},
    ),
    Endpoint(
        resource="vault:index/authBackend:AuthBackend",
        path="sys/auth/{path}",
        identifier="{path}",
        kind=AuthKind,
        replaces=words("local namespace type"),
        computed=words("path tune"),
        kept={"disableRemount": False, "identityTokenKey": None},
    ),
    Endpoint(
        resource="vault:index/audit:Audit",
        path="sys/audit/{path}",
        identifier="{path}",
        kind=AuditKind,
        replaces=words("description local namespace options path type"),
        computed=words("path"),
        kept={"local": None},
    ),
    Endpoint(
        resource="vault:index/auditRequestHeader:AuditRequestHeader",
        path="sys/config/auditing/request-headers/{name}",
        identifier="{name}",
        kind=RequestHeaderKind,
        replaces=words("name namespace"),
    ),
    Endpoint(
        resource="vault:index/policy:Policy",
        path="sys/policies/acl/{name}",
        identifier="{name}",
        replaces=words("name namespace"),
        unsent=words("allowOverwrite"),
        kept={"allowOverwrite": None},
    ),
    Endpoint(
        resource="vault:index/passwordPolicy:PasswordPolicy",
        path="sys/policies/password/{name}",
        identifier="{name}",
        kept={"entropySource": None},
        omits_nulls=True,
    ),
    Endpoint(
        resource="vault:index/quotaRateLimit:QuotaRateLimit",
        path="sys/quotas/rate-limit/{name}",
        identifier="{name}",
        replaces=words("name namespace path"),
        computed=words("groupBy interval secondaryRate"),
        choices={"groupBy": ("ip", "none", "entity_then_ip", "entity_then_none")},
        kept={"inheritable": None},
    ),
    Endpoint(
        resource="vault:index/quotaConfig:QuotaConfig",
        path="sys/quotas/config",
        identifier="missing ID",
        compare=sets("absoluteRateLimitExemptPaths rateLimitExemptPaths"),
        omits_nulls=True,
        omits_id=True,
        on_delete={
            "absolute_rate_limit_exempt_paths": [],
            "enable_rate_limit_audit_logging": False,
            "enable_rate_limit_response_headers": False,
            "rate_limit_exempt_paths": [],
        },
    ),
    Endpoint(
        resource="vault:index/raftAutopilot:RaftAutopilot",
        path="sys/storage/raft/autopilot/configuration",
        replaces=words("namespace"),
        defaults={
            "deadServerLastContactThreshold": "24h0m0s",
            "lastContactThreshold": "10s",
            "maxTrailingLogs": 1000,
            "minQuorum": 3,
            "serverStabilizationTime": "10s",
        },
        unsent=words("disableUpgradeMigration"),
        on_delete=_AUTOPILOT_DEFAULTS,
    ),
    Endpoint(
        resource="vault:index/token:Token",
        path="auth/token/create",
        kind=TokenKind,
        replaces=words(
            "displayName explicitMaxTtl metadata namespace noDefaultPolicy noParent numUses "
            "period policies renewable roleName ttl"
        ),
        defaults={"displayName": "token"},
        computed=words("metadata noParent numUses renewable"),
        compare=sets("policies"),
    ),
)
