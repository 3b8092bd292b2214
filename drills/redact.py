"""Keeps secrets out of everything that is written, and finds those that got in all the same."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from pathlib import Path

#: Below this a value is no secret but a word, and would be found everywhere.
_SHORTEST = 8
_TOKEN = re.compile(r"\b(?:hv[sbr]|s)\.[A-Za-z0-9_-]{20,}")
_LEASE = re.compile(r"\b([a-z0-9_-]+/creds/[a-z0-9_-]+)/[A-Za-z0-9]{20,}")


class Secrets:
    """Every secret that a run handled, in memory only. Safe to use from many threads."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def add(self, kind: str, value: str) -> None:
        """Remember `value`; what is too short to be told from a word is not."""
        if len(value) >= _SHORTEST:
            with self._lock:
                self._known[value] = kind

    def redact(self, text: str) -> str:
        """Return `text` without the secrets known so far, tokens and lease ids."""
        with self._lock:
            known = list(self._known.items())
        for value, kind in known:
            if value in text:
                text = text.replace(value, f"[{kind}]")
        return _LEASE.sub(r"\1/[lease-id]", _TOKEN.sub("[token]", text))

    def scan(self, files: Iterable[Path]) -> list[dict[str, str]]:
        """Return a row (`file`, `kind`) for each secret found in `files`; never the secret."""
        with self._lock:
            known = [(value.encode(), kind) for value, kind in self._known.items()]
        hits = []
        for file in files:
            content = file.read_bytes()
            hits += [{"file": file.name, "kind": kind} for kind in _kinds_in(content, known)]
        return hits


def _kinds_in(content: bytes, known: list[tuple[bytes, str]]) -> list[str]:
    return [kind for value, kind in known if value in content]
