"""Rule: whoever talks to Vault or Postgres does it over TLS, and looks whom it talks to."""

from __future__ import annotations

import re

from pulumi_policy import ReportViolation, ResourceValidationArgs, ResourceValidationPolicy

_CONNECTION = "vault:database/secretBackendConnection:SecretBackendConnection"
_MODE = re.compile(r"\bsslmode=([a-z-]+)")
_VERIFIED = {"verify-ca", "verify-full"}


def tls(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Refuse a provider or a connection without TLS, or one that takes any certificate."""
    if args.resource_type == "pulumi:providers:vault":
        if str(args.props.get("address") or "").startswith("http://"):
            report(
                "Vault is reached by http://: give it a certificate and an https:// address", None
            )
        if str(args.props.get("skipTlsVerify") or "false").lower() == "true":
            report("skipTlsVerify takes any certificate: give caCertFile instead", None)
    elif args.resource_type == "pulumi:providers:postgresql":
        if args.props.get("sslmode") in {"disable", "allow", "prefer"}:
            report(f"sslmode {args.props['sslmode']} may go without TLS: require at least", None)
    elif args.resource_type == _CONNECTION:
        block = args.props.get("postgresql") or {}
        found = _MODE.search(str(block.get("connectionUrl") or ""))
        if not found or found.group(1) not in _VERIFIED:
            said = found.group(1) if found else "missing"
            report(f"Vault reaches Postgres with sslmode {said}: verify-full, please", None)


POLICIES = [
    ResourceValidationPolicy(
        name="tls-everywhere",
        description="Vault and Postgres are reached over TLS.",
        validate=tls,
    )
]
