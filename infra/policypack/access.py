"""Rules: no root token is kept, and no policy gives secrets by a wildcard."""

from __future__ import annotations

import re

from pulumi_policy import ReportViolation, ResourceValidationArgs, ResourceValidationPolicy

_POLICY = "vault:index/policy:Policy"
_PATH = re.compile(r'^\s*path\s+"([^"]*)"\s*\{(.*?)\}', re.MULTILINE | re.DOTALL)
#: Mounts of Vault's own, where a wildcard below a named place gives no secret.
_OWN = ("sys", "auth", "identity")
_ROOT_TOKEN = {"root_token", "rootToken"}


def no_root_token(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Refuse a token with the policy `root`, and a resource that keeps one."""
    if args.resource_type.startswith("vault:") and "root" in [
        *(args.props.get("policies") or []),
        *(args.props.get("tokenPolicies") or []),
    ]:
        report("the policy `root` is given: declare a policy with the paths that are needed", None)
    if any(args.props.get(name) for name in _ROOT_TOKEN & set(args.props)):
        report("a root token is kept: revoke it once another token has its rights", None)


def wide(path: str) -> bool:
    """Return whether a policy's path is a wildcard over more than one place's secrets."""
    if "*" not in path and "+" not in path:
        return False
    first, _, rest = path.partition("/")
    return first not in _OWN or not rest.strip("*+/")


def no_wildcards(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Refuse a policy that grants anything on a wildcard path over secrets."""
    if args.resource_type != _POLICY:
        return
    for path, body in _PATH.findall(args.props.get("policy") or ""):
        if wide(path) and '"deny"' not in body:
            report(f'path "{path}" is a wildcard over secrets: name each path', None)


POLICIES = [
    ResourceValidationPolicy(
        name="no-root-token",
        description="No root token is kept.",
        validate=no_root_token,
    ),
    ResourceValidationPolicy(
        name="no-wildcard-paths",
        description="No policy gives secrets by a wildcard.",
        validate=no_wildcards,
    ),
]
