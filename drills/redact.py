"""Keeps secrets out of everything that is written, and finds those that got in all the same."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

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
        hits = []
        for file in files:
            content = file.read_bytes()
            hits += [{"file": file.name, "kind": kind} for kind in self._kinds_in(content)]
        return hits

    def scan_text(self, name: str, text: str) -> list[dict[str, str]]:
        """Return such rows for a text that is in no file; `file` is `name` then."""
        return [{"file": name, "kind": kind} for kind in self._kinds_in(text.encode())]

    def _kinds_in(self, content: bytes) -> list[str]:
        with self._lock:
            known = list(self._known.items())
        return [kind for value, kind in known if any(form in content for form in _forms(value))]


def _forms(value: str) -> set[bytes]:
    """Return how a secret may be written: as it is, in JSON, in a URL, and in base64."""
    written = {value, json.dumps(value)[1:-1], quote(value, safe="")}
    return {form.encode() for form in written} | {base64.b64encode(value.encode())}
