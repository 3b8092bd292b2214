"""The data of every type that the stand-in serves."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from tools.offline_plugins.vault.endpoint import Endpoint

_MODULES = ("core", "database", "auth", "identity", "engines", "pki")


@cache
def everything() -> dict[str, Endpoint]:
    """The types by token."""
    return {
        spec.resource: spec
        for name in _MODULES
        for spec in import_module(f"{__name__}.{name}").TYPES
    }


def find(token: str) -> Endpoint | None:
    """The type behind a token; None for one that only the published plugin serves."""
    return everything().get(token)
