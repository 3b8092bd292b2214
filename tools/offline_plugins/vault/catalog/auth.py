"""Auth methods: AppRole, JWT, Kubernetes."""

from __future__ import annotations

from tools.offline_plugins.spec import sets, words
from tools.offline_plugins.vault.endpoint import Endpoint
from tools.offline_plugins.vault.kinds.approle import RoleKind
from tools.offline_plugins.vault.kinds.tokens import SecretIdKind

_TOKEN_SETS = "tokenPolicies tokenBoundCidrs"
_TOKEN_DEFAULTS = {"tokenType": "default"}

TYPES = (
    Endpoint(
        token="vault:appRole/authBackendRole:AuthBackendRole",
        path="auth/{backend}/role/{roleName}",
        kind=RoleKind,
        replaces=words("backend namespace roleName"),
        defaults={"backend": "approle", "bindSecretId": True, **_TOKEN_DEFAULTS},
        computed=words("roleId"),
        compare=sets(f"{_TOKEN_SETS} secretIdBoundCidrs"),
        unsent=words("roleId"),
    ),
    Endpoint(
        token="vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId",
        path="auth/{backend}/role/{roleName}",
        identifier="backend={backend}::role={roleName}::accessor={accessor}",
        kind=SecretIdKind,
        replaces=words(
            "backend cidrLists metadata namespace numUses roleName secretId tokenBoundCidrs ttl "
            "withWrappedAccessor wrappingTtl"
        ),
        defaults={"backend": "approle"},
        computed=words("secretId"),
        compare={**sets("cidrLists tokenBoundCidrs"), "metadata": "json"},
        rename={"cidrLists": "cidr_list"},
        unsent=words("metadata withWrappedAccessor wrappingTtl"),
        kept={
            "secretId": None,
            "withWrappedAccessor": None,
            "wrappingAccessor": None,
            "wrappingToken": None,
            "wrappingTtl": None,
        },
    ),
)
