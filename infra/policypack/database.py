"""Rules: a dynamic role gets what its group has and no more, and its end is real."""

from __future__ import annotations

import re

from pulumi_policy import ReportViolation, ResourceValidationArgs, ResourceValidationPolicy

_ROLE = "vault:database/secretBackendRole:SecretBackendRole"
_TOO_MUCH = {
    "grants to PUBLIC, that is to every role": re.compile(r"\bTO\s+\"?PUBLIC\b", re.IGNORECASE),
    "makes a superuser": re.compile(r"\bSUPERUSER\b", re.IGNORECASE),
    "gives the superuser's role": re.compile(
        r"\b(IN\s+(ROLE|GROUP)|GRANT)\s+[^;]*\"?\bpostgres\b", re.IGNORECASE
    ),
    "lets the role pass row security": re.compile(r"\bBYPASSRLS\b", re.IGNORECASE),
}
_END = {
    "ends no session": re.compile(r"\bpg_terminate_backend\s*\(", re.IGNORECASE),
    "does not drop the role": re.compile(r"\bDROP\s+ROLE\b", re.IGNORECASE),
}


def _text(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "")


def creation_gives_no_more(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Refuse creation SQL that grants to PUBLIC or makes a superuser."""
    if args.resource_type == _ROLE:
        sql = _text(list(args.props.get("creationStatements") or []))
        for what, pattern in _TOO_MUCH.items():
            if pattern.search(sql):
                report(f"creation SQL {what}", None)


def revocation_is_real(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Refuse revocation SQL that leaves sessions or the role; Vault's own default does."""
    if args.resource_type == _ROLE:
        sql = _text(list(args.props.get("revocationStatements") or []))
        for what, pattern in _END.items():
            if not pattern.search(sql):
                report(f"revocation SQL {what}", None)


POLICIES = [
    ResourceValidationPolicy(
        name="creation-sql-gives-no-more",
        description="Creation SQL grants nothing to PUBLIC and makes no superuser.",
        validate=creation_gives_no_more,
    ),
    ResourceValidationPolicy(
        name="revocation-sql-ends-sessions",
        description="Revocation SQL ends sessions and drops the role.",
        validate=revocation_is_real,
    ),
]
