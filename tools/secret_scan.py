#!/usr/bin/env python3
"""Find Vault's credentials in files, before they are committed. Needs Python alone.

    tools/secret_scan.py FILE…          exit 0: none; 1: a line each, never the secret; 2: bad input

A find is allowed by a mark on its line (`secret-scan: allow`, or detect-secrets' and gitleaks'
own), or by a line in `.secret-scan-allow`: a path pattern, the find's fingerprint, and why. A
fingerprint tells the same secret again and tells nobody what it is.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ALLOWLIST = Path(".secret-scan-allow")
_MARKS = ("secret-scan: allow", "pragma: allowlist secret", "gitleaks:allow")
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_GIVEN = r"[\"']?\s*(?:=>|[:=])\s*[\"']?"

#: What Vault's credentials look like. Each has the secret in its only group.
KINDS: dict[str, re.Pattern[str]] = {
    # service, batch and recovery tokens; root's are as short as 24 characters
    "vault-token": re.compile(r"(?<![\w.])(hv[sbr]\.[A-Za-z0-9_-]{24,})"),
    # before Vault 1.10; a digit and a capital, since `s.` and 24 letters is also Python
    "vault-token-old": re.compile(
        r"(?<![\w.])(s\.(?=[A-Za-z]*\d)(?=[a-z0-9]*[A-Z])[A-Za-z0-9]{24})(?!\w)"
    ),
    "secret-id": re.compile(rf"(?i)secret[_-]?id{_GIVEN}({_UUID})(?![\w-])"),
    # random characters have a capital among them; an example made of the alphabet has none
    "lease-id": re.compile(
        r"(?<![\w/-])([\w-]+(?:/[\w-]+)*/creds/[\w-]+/(?=[a-z0-9]*[A-Z])[A-Za-z0-9]{24})(?!\w)"
    ),
    # shares of 33 bytes in base64 or hex, as `vault operator init` prints them
    "unseal-key": re.compile(
        r"(?i)(?:unseal|recovery)[ _-]?keys?(?:[ _-]?(?:\d+|b64|hex))*"
        rf"{_GIVEN}\[?\s*[\"']?([A-Za-z0-9+/]{{44}}(?![\w+/])|[0-9a-f]{{66}}(?!\w))"
    ),
}


@dataclass(frozen=True)
class Find:
    """Where a credential stands, what kind it is, and how to name it without telling it."""

    file: Path
    line: int
    kind: str
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.kind} {self.fingerprint}"


def fingerprint(secret: str) -> str:
    """Return 16 hex digits that tell a secret again."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


def finds(file: Path, text: str) -> Iterator[Find]:
    """Yield what is found in a text and not allowed by a mark on its line."""
    for number, line in enumerate(text.splitlines(), start=1):
        if any(mark in line for mark in _MARKS):
            continue
        for kind, pattern in KINDS.items():
            for found in pattern.finditer(line):
                yield Find(file, number, kind, fingerprint(found[1]))


class AllowlistError(Exception):
    """A line of the allowlist is not as it must be; says which one and what belongs there."""


class Allowlist:
    """Lines of `PATTERN FINGERPRINT why`: finds that may stay. Raises `AllowlistError`."""

    def __init__(self, text: str, name: str = str(ALLOWLIST)) -> None:
        self._allowed: list[tuple[str, str]] = []
        for number, line in enumerate(text.splitlines(), start=1):
            parts = line.split(maxsplit=2)
            if not parts or parts[0].startswith("#"):
                continue
            if len(parts) < 3 or not re.fullmatch(r"[0-9a-f]{16}", parts[1]):
                raise AllowlistError(
                    f"{name}:{number}: write a path pattern, a fingerprint, and why it may stay"
                )
            self._allowed.append((parts[0], parts[1]))

    def allows(self, find: Find) -> bool:
        """Whether somebody wrote down why this find may stay."""
        return any(
            mark == find.fingerprint and fnmatch.fnmatch(find.file.as_posix(), pattern)
            for pattern, mark in self._allowed
        )


def main(arguments: list[str]) -> int:
    """Scan the files named; print what was found."""
    if not arguments:
        sys.stderr.write("secret_scan: name the files to scan\n")
        return 2
    found: list[Find] = []
    try:
        text = ALLOWLIST.read_text(encoding="utf-8") if ALLOWLIST.exists() else ""
        allowlist = Allowlist(text)
        for name in arguments:
            file = Path(name)
            content = file.read_bytes().decode(errors="replace")
            found += [each for each in finds(file, content) if not allowlist.allows(each)]
    except AllowlistError as error:
        sys.stderr.write(f"secret_scan: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"secret_scan: {error.filename}: {error.strerror}\n")
        return 2
    for each in found:
        sys.stdout.write(f"{each}\n")
    if found:
        sys.stderr.write(
            "secret_scan: rotate what is real (docs/runbook-leaked-credential.md), then take it "
            f"out; what is not, mark `{_MARKS[0]}` on its line or list in {ALLOWLIST}\n"
        )
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
