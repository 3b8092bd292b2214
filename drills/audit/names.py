"""What identities are called in the stack's Vault, so that a row names a service, not a token."""

from __future__ import annotations

import re
from typing import Any, Protocol
from urllib.parse import quote

from drills.errors import VaultRefused, VaultUnreachable
from drills.vault import Vault

#: What Vault calls an entity that it made itself at somebody's first login.
_MADE_UP = re.compile(r"entity_[0-9a-f]{8}")
#: Most identities that are asked for: a log of a large Vault may have more than anybody reads.
_MOST = 500


class _Identified(Protocol):
    @property
    def entity_id(self) -> str: ...
    @property
    def service(self) -> str: ...


class Names:
    """Names by entity id, asked once each. Without a Vault, or once it fails, the log's own."""

    def __init__(self, vault: Vault | None = None) -> None:
        self._vault = vault
        self._known: dict[str, str | None] = {}
        self.trouble: str | None = None

    def of(self, entry: _Identified) -> str:
        """Return who asked: the entity's name where somebody gave it one, else the log's word."""
        if not entry.entity_id:
            return entry.service
        if entry.entity_id not in self._known:
            self._known[entry.entity_id] = self._ask(entry.entity_id)
        return self._known[entry.entity_id] or entry.service

    def ids(self, name: str) -> list[bytes]:
        """Return the id of the entity that is called so, if there is one, as it is in the log."""
        found = str(self._identity(f"name/{quote(name, safe='')}").get("id") or "")
        return [found.encode()] if found else []

    def _ask(self, entity_id: str) -> str | None:
        if len(self._known) >= _MOST:
            return None
        name = str(self._identity(f"id/{entity_id}").get("name") or "")
        return None if not name or _MADE_UP.fullmatch(name) else name

    def _identity(self, which: str) -> dict[str, Any]:
        if self._vault is None or self.trouble:
            return {}
        try:
            told = self._vault.call("GET", f"identity/entity/{which}", seconds=3)
        except VaultUnreachable as error:
            self.trouble = " ".join(str(error).split())
            return {}
        except VaultRefused as error:
            if error.status != 404:  # an identity that is gone has no name any more
                self.trouble = " ".join(str(error).split())
            return {}
        return told.get("data") or {}
