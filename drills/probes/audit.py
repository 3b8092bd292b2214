"""Probe `audit`: every issue, renewal, revocation, login and logout, from Vault's own audit log.

This is where renewals and new leases are counted: not what clients say they did, but what Vault
was asked. Tokens are HMACs there, lease ids are not, so of a lease only its role is kept.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any, ClassVar

from drills.probes.base import Probe
from infra.platform import Platform

#: No more of the log's past than this is read; a busy stack writes some 2 kB a request.
_PAST_BYTES = 64 * 2**20


class LogTail:
    """Whole lines that are appended to a file after this object was made, rotation included."""

    def __init__(self, path: Path, *, back: int = 0) -> None:
        """`back`: how many bytes of what is there already are read as well."""
        self._path = path
        self._file: IO[bytes] | None = None
        self._inode = 0
        self._rest = b""
        self._open(back=back)

    def _open(self, *, back: int | None = None) -> None:
        """Open the file at its beginning, or `back` bytes before its end."""
        try:
            self._file = self._path.open("rb")
        except FileNotFoundError:
            self._file = None
            return
        self._inode = os.fstat(self._file.fileno()).st_ino
        if back is not None:
            end = self._file.seek(0, os.SEEK_END)
            if self._file.seek(max(0, end - back)) and back:
                self._file.readline()  # most likely the rest of a line
        self._rest = b""

    def lines(self) -> Iterator[bytes]:
        """Yield the lines that have come since the last call."""
        if self._file is not None:
            yield from self._read()
        try:
            rotated = self._path.stat().st_ino != self._inode
        except FileNotFoundError:
            return
        if self._file is None or rotated:
            self.close()
            self._open()
            if self._file is not None:
                yield from self._read()

    def _read(self) -> Iterator[bytes]:
        assert self._file is not None  # noqa: S101 - both callers have looked
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        yield from whole

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _operation(path: str, creds: re.Pattern[str]) -> tuple[str, str | None] | None:
    """Return (op, role) of a request's path; None for what is not counted."""
    found = creds.match(path)
    if found:
        return "issue", found.group(1)
    if path in {"sys/leases/renew", "sys/renew"}:
        return "renew", None
    if path.startswith(("sys/leases/revoke", "sys/revoke")):
        return "revoke", None
    if path.startswith("auth/") and path.endswith("/login"):
        return "login", None
    if path == "auth/token/revoke-self":
        return "logout", None
    return None


def _client(auth: dict[str, Any], request: dict[str, Any]) -> str | None:
    """Return who asked: the token, by the HMAC of its accessor. A batch token has none; then it is
    whoever logs in under that name from that address."""
    accessor = str(auth.get("accessor") or "").removeprefix("hmac-sha256:")[:16]
    who = auth.get("entity_id") or auth.get("display_name")
    where = request.get("remote_address")
    return accessor or (f"{who}@{where}" if who and where else None)


def parse(line: bytes, database_mount: str) -> dict[str, Any] | None:
    """Return the sample in one line of an audit log (with `unix` time), None if it holds none.

    Torn or foreign lines hold none. Fields: op, role, client, entity, ok, operator.
    """
    try:
        entry = json.loads(line)
        if entry["type"] != "response":
            return None
        request = entry["request"]
        creds = re.compile(rf"{re.escape(database_mount)}/creds/([^/]+)$")
        counted = _operation(request["path"], creds)
        if counted is None:
            return None
        op, role = counted
        auth = entry.get("auth") or {}
        if op == "login":
            auth = (entry.get("response") or {}).get("auth") or auth
        lease = ((entry.get("response") or {}).get("secret") or {}).get("lease_id", "")
        if role is None and f"{database_mount}/creds/" in lease:
            role = lease.split("/creds/", 1)[1].split("/", 1)[0]
        return {
            "unix": datetime.fromisoformat(entry["time"]).timestamp(),
            "op": op,
            "role": role,
            "client": _client(auth, request),
            "entity": auth.get("entity_id") or None,
            "ok": not entry.get("error"),
            "operator": "drill-operator" in (auth.get("policies") or []),
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class Audit(Probe):
    """Fields: op, role, client, entity, ok, operator; `t` is the time that Vault logged."""

    name: ClassVar[str] = "audit"
    every: ClassVar[float] = 0.2

    def __init__(
        self,
        platform: Platform,
        to_monotonic: Callable[[float], float],
        observe: Callable[..., Any],
        failed: Callable[[str, str], Any],
        *,
        past_seconds: float = 0.0,
    ) -> None:
        """`past_seconds`: how much of what was logged before is taken as well. A service that ran
        before the drill did took its leases then."""
        super().__init__(observe, failed)
        self._mount = platform.vault.database_mount
        self._to_monotonic = to_monotonic
        self._since = time.time() - past_seconds if past_seconds else 0.0
        back = _PAST_BYTES if past_seconds else 0
        self._tail = LogTail(platform.vault.audit_logs[0], back=back)

    def look(self) -> None:
        """Read what has been appended."""
        for line in self._tail.lines():
            sample = parse(line, self._mount)
            if sample is not None and sample["unix"] >= self._since:
                self.observe(self.name, t=self._to_monotonic(sample.pop("unix")), **sample)

    def close(self) -> None:
        """Read what came last, and close the log."""
        self.look()
        self._tail.close()
