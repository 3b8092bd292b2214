"""The types that the stand-in serves."""

from __future__ import annotations

from collections.abc import Callable

from tools.offline_plugins.postgresql.databases import DatabaseKind, ExtensionKind, SchemaKind
from tools.offline_plugins.postgresql.kind import PostgresqlKind
from tools.offline_plugins.postgresql.privileges import (
    DefaultPrivilegesKind,
    GrantKind,
    GrantRoleKind,
)
from tools.offline_plugins.postgresql.roles import RoleKind
from tools.offline_plugins.postgresql.session import Server

KINDS: dict[str, type[PostgresqlKind]] = {
    kind.data.resource: kind
    for kind in (
        DatabaseKind,
        DefaultPrivilegesKind,
        ExtensionKind,
        GrantKind,
        GrantRoleKind,
        RoleKind,
        SchemaKind,
    )
}


def find(token: str, server: Callable[[], Server]) -> PostgresqlKind | None:
    """The type behind a token; None for one that only the published plugin serves."""
    kind = KINDS.get(token)
    return None if kind is None else kind(server)
