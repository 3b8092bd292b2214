"""Identities."""

from __future__ import annotations

from tools.offline_plugins.spec import sets, words
from tools.offline_plugins.vault.endpoint import Endpoint
from tools.offline_plugins.vault.kinds.identity import IdentityKind

TYPES = (
    Endpoint(
        resource="vault:identity/entity:Entity",
        path="identity/entity",
        kind=IdentityKind,
        replaces=words("namespace"),
        compare=sets("policies"),
        unsent=words("externalPolicies"),
        kept={"externalPolicies": False},
    ),
    Endpoint(
        resource="vault:identity/entityAlias:EntityAlias",
        path="identity/entity-alias",
        kind=IdentityKind,
        replaces=words("namespace"),
        absent=words("issuer externalId"),
    ),
    Endpoint(
        resource="vault:identity/group:Group",
        path="identity/group",
        kind=IdentityKind,
        replaces=words("namespace type"),
        defaults={"type": "internal"},
        compare=sets("memberEntityIds memberGroupIds policies"),
        unsent=words("externalMemberEntityIds externalMemberGroupIds externalPolicies"),
        kept={
            "externalMemberEntityIds": False,
            "externalMemberGroupIds": False,
            "externalPolicies": False,
        },
    ),
)
