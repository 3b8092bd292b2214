"""One line of an audit log as an `Entry`; lines that are none are counted, never an error."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from drills.audit import files

#: What a request's path shares with its JSON, whatever the encoder escapes.
_PLAIN = re.compile(r"[A-Za-z0-9_./ -]+")
#: How a request's line begins (older Vaults) or ends (1.21): told without decoding it. A log that
#: somebody wrote anew, with spaces, is only slower to read.
_BEGINS = re.compile(rb'\{"time":"[^"]*","type":"request"')
_ENDS = b'"type":"request"}'


# Only these fields are decoded; everything else on a line is skipped by the parser, in Rust. That
# is five times as fast as decoding the whole line. `None` stands for absent and for null.
class _Policy(TypedDict, total=False):
    name: str | None  # absent for what is granted to everybody


class _Results(TypedDict, total=False):
    granting_policies: list[_Policy] | None


class _Auth(TypedDict, total=False):
    display_name: str | None
    entity_id: str | None
    metadata: dict[str, Any] | None
    policies: list[str] | None
    policy_results: _Results | None


class _Namespace(TypedDict, total=False):
    path: str | None


class _Request(TypedDict, total=False):
    id: str | None
    operation: str | None
    path: str | None
    remote_address: str | None
    client_token_accessor: str | None
    namespace: _Namespace | None


class _Secret(TypedDict, total=False):
    lease_id: str | None


class _Response(TypedDict, total=False):
    auth: _Auth | None
    secret: _Secret | None


class _Line(TypedDict, total=False):
    time: str
    type: str
    error: str | None
    auth: _Auth | None
    request: _Request
    response: _Response | None


_LINE = TypeAdapter(_Line)


class Entry:
    """What one line says: who, asked what, was it answered. Reads off the line what is asked for,
    since most of a million lines are asked for little."""

    __slots__ = ("_auth", "_line", "_request", "time")

    def __init__(self, line: _Line) -> None:
        """Raises `KeyError` for a line that is neither a request nor a response."""
        if line["type"] not in {"request", "response"}:
            raise KeyError("type")
        self._line = line
        self._request = line["request"]
        self.time = line["time"]  # Vault's own, UTC
        if "path" not in self._request:
            raise KeyError("path")
        auth = line.get("auth") or {}
        if "display_name" not in auth:  # a login has no token yet: the answer says who it was
            auth = (line.get("response") or {}).get("auth") or auth
        self._auth = auth

    @property
    def answered(self) -> bool:
        """Whether this is the response's line; the request's comes before the work is done."""
        return self._line["type"] == "response"

    @property
    def id(self) -> str:
        """The request's id: the same on its request's and its response's line, in every device."""
        return self._request.get("id") or ""

    @property
    def operation(self) -> str:
        """`read`, `list`, `create`, `update`, `delete` …"""
        return self._request.get("operation") or "-"

    @property
    def path(self) -> str:
        """The path that was asked for, its namespace first."""
        space = self._request.get("namespace")
        path = self._request["path"] or ""
        return f"{space.get('path') or ''}{path}" if space else path

    @property
    def address(self) -> str:
        """Where the request came from."""
        return self._request.get("remote_address") or "-"

    @property
    def entity_id(self) -> str:
        """The identity's id, empty for a token that belongs to none."""
        return self._auth.get("entity_id") or ""

    @property
    def has_token(self) -> bool:
        """Whether the request came with a token; a login does not."""
        return bool(self._request.get("client_token_accessor"))

    @property
    def policies(self) -> tuple[str, ...]:
        """All policies of the token."""
        return tuple(self._auth.get("policies") or ())

    @property
    def granting(self) -> tuple[str, ...]:
        """The policies that granted this very request; older Vaults do not say."""
        results = self._auth.get("policy_results")
        listed = results.get("granting_policies") if results else None
        return tuple([name for each in listed or () if (name := each.get("name"))])

    @property
    def lease_id(self) -> str:
        """The lease that was issued or renewed, if one was."""
        return ((self._line.get("response") or {}).get("secret") or {}).get("lease_id") or ""

    @property
    def service(self) -> str:
        """Who asked, as the log alone tells: what its auth method calls it, else its token's name.

        An AppRole's display name is only `approle`; which one it was is in the metadata.
        """
        metadata = self._auth.get("metadata") or {}
        for key in ("service", "role_name", "service_account_name", "username", "role"):
            value = metadata.get(key)
            if value:
                return str(value)
        return self._auth.get("display_name") or "-"

    @property
    def outcome(self) -> str:
        """`ok`, `denied` (no policy grants it), `failed`, or `no answer` (none was logged)."""
        error = self._line.get("error")
        if error:
            return "denied" if "permission denied" in error else "failed"
        return "ok" if self.answered else "no answer"


@dataclass
class Counts:
    """What was read: every line is a request, a response, unreadable or torn."""

    files: int = 0
    lines: int = 0
    unreadable: int = 0  # not JSON of Vault's
    torn: int = 0  # a file's last line, cut off
    first: str = ""
    last: str = ""

    def saw(self, entry: Entry | None) -> None:
        """Widen the span that the log covers."""
        if entry is None:
            return
        time = entry.time
        # by the second: Vault leaves off trailing zeros, so longer forms don't sort as text
        if not self.first or time[:19] < self.first[:19]:
            self.first = time
        if not self.last or time[:19] >= self.last[:19]:
            self.last = time


def parse(line: bytes) -> Entry | None:
    """Return what a line says, None if it is no line of an audit log.

    What stands before the JSON (a device's `prefix`, a container engine's time stamp) is skipped.
    """
    start = line.find(b"{")
    if start < 0:
        return None
    try:
        return Entry(_LINE.validate_json(line[start:] if start else line))
    except (ValidationError, KeyError):
        return None


def fragment(text: str) -> bytes:
    """Return the longest part of `text` that every line with it has in it as it stands.

    Encoders write some characters otherwise, and `*` and `+` are a pattern's.
    """
    plain = _PLAIN.findall(text.replace("*", "\0").replace("+", "\0"))
    return max(plain, key=len, default="").encode()


def read(
    logs: Iterable[Path],
    counts: Counts,
    *,
    having: Collection[bytes] = (),
    answers_only: bool = False,
) -> Iterator[Entry]:
    """Yield the entries of `logs`, filling `counts` on the way.

    Only lines that have one of `having` in them, and with `answers_only` no line that is plainly
    a request's: those are counted, but neither decoded nor judged readable. Decoding is most of
    the work. Raises `SetupError` for a file that can't be read.
    """
    for path in logs:
        counts.files += 1
        for block, whole in files.blocks(path):
            counts.lines += len(block)
            for end in (block[0], block[-1]):
                counts.saw(parse(end))
            for line in _chosen(block, having, answers_only=answers_only) if whole else block:
                entry = parse(line)
                if entry is not None:
                    yield entry
                elif not whole:
                    counts.torn += 1
                elif line and not line.isspace():
                    counts.unreadable += 1


def _chosen(
    block: list[bytes], having: Collection[bytes], *, answers_only: bool
) -> Iterable[bytes]:
    if len(having) == 1:
        (one,) = having
        block = [line for line in block if one in line]
    elif having:
        block = [line for line in block if any(each in line for each in having)]
    if answers_only:
        block = [line for line in block if not (line.endswith(_ENDS) or _BEGINS.match(line))]
    return block
