"""Auth methods: AppRole, JWT, Kubernetes, TLS certificates."""

from __future__ import annotations

from typing import Any

from tools.offline_plugins.spec import sets, words
from tools.offline_plugins.vault.endpoint import Endpoint
from tools.offline_plugins.vault.kinds.approle import RoleKind
from tools.offline_plugins.vault.kinds.engines import JwtKind, JwtRoleKind
from tools.offline_plugins.vault.kinds.tokens import SecretIdKind

_TOKEN_SETS = "tokenPolicies tokenBoundCidrs"  # noqa: S105 names of properties
_TOKEN_DEFAULTS = {"tokenType": "default"}


def _no_metadata_is_none(name: str, old: Any, new: Any) -> bool:
    """Whether both say that there is no metadata: it reads back as `{}`, which the published
    plugin does not take for a change."""
    return name == "metadata" and {old or "{}", new or "{}"} == {"{}"}


TYPES = (
    Endpoint(
        resource="vault:appRole/authBackendRole:AuthBackendRole",
        path="auth/{backend}/role/{roleName}",
        kind=RoleKind,
        replaces=words("backend namespace roleName"),
        defaults={"backend": "approle", "bindSecretId": True, **_TOKEN_DEFAULTS},
        computed=words("roleId"),
        compare=sets(f"{_TOKEN_SETS} secretIdBoundCidrs"),
        unsent=words("roleId"),
    ),
    Endpoint(
        resource="vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId",
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
        same=_no_metadata_is_none,
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
    Endpoint(
        resource="vault:jwt/authBackend:AuthBackend",
        path="sys/auth/{path}",
        identifier="{path}",
        kind=JwtKind,
        replaces=words("local namespace type"),
        defaults={"namespaceInState": True, "path": "jwt", "type": "jwt"},
        computed=words("tune"),
        rename={"oidcClientSecretWo": "oidc_client_secret"},
        unsent=words("oidcClientSecretWoVersion"),
        kept={
            "disableRemount": False,
            "oidcClientSecret": None,
            "oidcClientSecretWoVersion": None,
        },
        write_only=words("oidcClientSecretWo"),
    ),
    Endpoint(
        resource="vault:jwt/authBackendRole:AuthBackendRole",
        path="auth/{backend}/role/{roleName}",
        kind=JwtRoleKind,
        replaces=words("backend namespace roleName roleType"),
        defaults={"backend": "jwt", **_TOKEN_DEFAULTS},
        computed=words("boundClaimsType roleType"),
        compare=sets(f"{_TOKEN_SETS} allowedRedirectUris boundAudiences oidcScopes"),
        unsent=words("disableBoundClaimsParsing"),
        kept={"disableBoundClaimsParsing": False},
        nullable=words("allowedRedirectUris boundClaims claimMappings"),
    ),
    Endpoint(
        resource="vault:kubernetes/authBackendConfig:AuthBackendConfig",
        path="auth/{backend}/config",
        replaces=words("backend namespace"),
        defaults={"backend": "kubernetes"},
        computed=words(
            "disableIssValidation disableLocalCaJwt kubernetesCaCert useAnnotationsAsAliasMetadata"
        ),
        rename={"tokenReviewerJwtWo": "token_reviewer_jwt"},
        unsent=words("tokenReviewerJwtWoVersion"),
        kept={"tokenReviewerJwt": None, "tokenReviewerJwtWoVersion": None},
        write_only=words("tokenReviewerJwtWo"),
        removable=False,
    ),
    Endpoint(
        resource="vault:kubernetes/authBackendRole:AuthBackendRole",
        path="auth/{backend}/role/{roleName}",
        replaces=words("backend namespace roleName"),
        defaults={"backend": "kubernetes", **_TOKEN_DEFAULTS},
        computed=words("aliasNameSource"),
        compare=sets(f"{_TOKEN_SETS} boundServiceAccountNames boundServiceAccountNamespaces"),
        nullable=words("audience"),
    ),
    Endpoint(
        resource="vault:index/certAuthBackendRole:CertAuthBackendRole",
        path="auth/{backend}/certs/{name}",
        replaces=words("backend certificate name namespace"),
        defaults={"backend": "cert", **_TOKEN_DEFAULTS},
        computed=words("displayName ocspMaxRetries ocspThisUpdateMaxAge"),
        compare=sets(
            f"{_TOKEN_SETS} allowedCommonNames allowedDnsSans allowedEmailSans allowedNames "
            "allowedOrganizationalUnits allowedUriSans requiredExtensions"
        ),
        absent=words("certificateWo certificateWoVersion"),
        required=words("certificate"),
    ),
)
