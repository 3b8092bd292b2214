"""Reads a Vault policy: HCL or JSON, as far as policies use them.

A policy is `path "…" { capabilities = […] }`, over and over; everything else in a path's block is
read over. Source: Vault's policy documentation, and what `vault policy fmt` accepts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_TOKEN = re.compile(
    r"""(?P<space>[\s,]+|\#[^\n]*|//[^\n]*|/\*.*?\*/)
      |(?P<string>"(?:\\.|[^"\\\n])*")
      |<<-?(?P<mark>\w+)\n(?P<here>.*?)\n\s*(?P=mark)(?=\s|$)
      |(?P<mark_of>[{}\[\]=:])
      |(?P<word>[^\s,{}\[\]=:"]+)""",
    re.VERBOSE | re.DOTALL,
)
#: What the old `policy = "…"` stood for (Vault: old-style policies).
_OLD = {
    "deny": ("deny",),
    "read": ("read", "list"),
    "write": ("create", "read", "update", "delete", "list"),
    "sudo": ("create", "read", "update", "delete", "list", "sudo"),
}
CAPABILITIES = frozenset(
    {"create", "read", "update", "patch", "delete", "list", "sudo", "deny", "subscribe", "recover"}
)


class PolicyError(ValueError):
    """The text is no policy. One line that says what is wrong, and on which line of the text."""


class _Parser:
    """Recursive descent over tokens; an object is a list of (keys, value), in order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._scan())
        self._next = 0

    def _scan(self) -> Iterator[tuple[str, str, int]]:
        position = 0
        while position < len(self._text):
            found = _TOKEN.match(self._text, position)
            if found is None:
                raise PolicyError(f"line {self._line(position)}: a string does not end")
            if found["string"] is not None:
                yield "string", _unquoted(found["string"], self._line(position)), position
            elif found["here"] is not None:
                yield "string", found["here"], position
            elif found["mark_of"] or found["word"]:
                kind = "mark" if found["mark_of"] else "word"
                yield kind, found["mark_of"] or found["word"], position
            position = found.end()

    def _line(self, position: int) -> int:
        return self._text.count("\n", 0, position) + 1

    def _fail(self, what: str) -> PolicyError:
        here = self._tokens[self._next][2] if self._next < len(self._tokens) else len(self._text)
        return PolicyError(f"line {self._line(here)}: {what}")

    def _at(self, mark: str) -> bool:
        return self._tokens[self._next : self._next + 1] != [] and self._tokens[self._next][:2] == (
            "mark",
            mark,
        )

    def _take(self, mark: str) -> bool:
        found = self._at(mark)
        self._next += found
        return found

    def document(self) -> list[tuple[list[str], Any]]:
        """Return the whole text as one object; JSON has braces around it."""
        braced = self._take("{")
        body = self._body()
        if braced and not self._take("}"):
            raise self._fail("a closing brace is missing")
        if self._next < len(self._tokens):
            raise self._fail(f"unexpected {self._tokens[self._next][1]!r}")
        return body

    def _body(self) -> list[tuple[list[str], Any]]:
        items: list[tuple[list[str], Any]] = []
        while self._next < len(self._tokens) and not self._at("}"):
            keys = []
            while self._next < len(self._tokens) and self._tokens[self._next][0] != "mark":
                keys.append(self._tokens[self._next][1])
                self._next += 1
            if not keys:
                raise self._fail(f"unexpected {self._tokens[self._next][1]!r}")
            if not (self._take("=") or self._take(":")) and not self._at("{"):
                raise self._fail(f"{keys[-1]!r} has no value")
            items.append((keys, self._value()))
        return items

    def _value(self) -> Any:
        if self._take("{"):
            body = self._body()
            if not self._take("}"):
                raise self._fail("a closing brace is missing")
            return body
        if self._take("["):
            values = []
            while not self._take("]"):
                values.append(self._value())
            return values
        if self._next >= len(self._tokens) or self._tokens[self._next][0] == "mark":
            raise self._fail("a value is missing")
        self._next += 1
        return self._tokens[self._next - 1][1]


def _unquoted(text: str, line: int) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        raise PolicyError(f"line {line}: {text}: a string with a wrong escape") from None


def _is_body(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, tuple) for item in value)


def _blocks(keys: list[str], value: Any) -> Iterator[tuple[str, list[tuple[list[str], Any]]]]:
    """Yield each (path, block) below `path`, whichever of HCL's and JSON's forms it has."""
    if isinstance(value, list) and not _is_body(value):
        for each in value:
            yield from _blocks(keys, each)
    elif not _is_body(value):
        raise PolicyError(f"path {' '.join(keys)}: a block is missing")
    elif keys:
        yield keys[0], value
    else:
        for inner, block in value:
            yield from _blocks(inner, block)


def _capabilities(path: str, block: list[tuple[list[str], Any]]) -> frozenset[str]:
    found: list[str] = []
    for keys, value in block:
        if keys == ["capabilities"]:
            found += value if isinstance(value, list) else [value]
        elif keys == ["policy"]:
            if value not in _OLD:
                raise PolicyError(f'path "{path}": there is no policy {value!r}')
            found += _OLD[value]
    for each in found:
        if not isinstance(each, str) or each not in CAPABILITIES:
            raise PolicyError(f'path "{path}": there is no capability {each!r}')
    # deny stands alone, whatever is beside it
    return frozenset({"deny"}) if "deny" in found else frozenset(found)


def parse(text: str) -> list[tuple[str, frozenset[str]]]:
    """Return each path of a policy with its capabilities, in order; raise `PolicyError`."""
    rules = []
    try:
        for keys, value in _Parser(text).document():
            if keys[0] == "path":
                rules += [
                    (path.removeprefix("/"), _capabilities(path, block))
                    for path, block in _blocks(keys[1:], value)
                ]
    except RecursionError:
        raise PolicyError("nested too deeply") from None
    for path, _ in rules:
        if "+*" in path:
            raise PolicyError(f"path \"{path}\": '+*' is forbidden")
    return rules
