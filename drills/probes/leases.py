"""Probe `leases`: every dynamic role that Postgres has had during the run, traced to who asked.

The name of a role is in the audit log as an HMAC only, with a salt that Vault alone knows. Vault
makes the same HMAC of a text by sys/audit-hash, so a role and the request that issued it are
matched exactly, and by nothing that only looks alike. The log does not hold a lease's TTL: that
is what Postgres was told (VALID UNTIL) less the time of the request, and the 5 s that Vault adds.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from drills.database import Database
from drills.errors import VaultRefused, VaultUnreachable
from drills.probes.audit import LogTail
from drills.probes.base import Probe
from drills.vault import Vault
from infra.platform import Platform

#: No more of the log's past than this is read: leases that lived when the run began were issued
#: before it.
_PAST_BYTES = 64 * 2**20
#: So many names are hashed a look: one that Vault answers slowly must not keep the others waiting.
_AT_ONCE = 50
#: What Vault adds to a lease's end when it writes VALID UNTIL.
_GRACE_SECONDS = 5


@dataclass(frozen=True)
class Issue:
    """The answer to a request for a credential, as the audit log has it."""

    unix: float
    requester: str | None
    entity: str | None
    policies: tuple[str, ...]
    address: str | None


def issue_in(line: bytes, creds: str) -> tuple[str, Issue] | None:
    """Return (HMAC of the user name, issue) of a line of an audit log, None if it holds none.

    `creds`: what the paths that issue begin with. The policies are those that granted the
    request, where Vault says (from 1.10 on), else all that the token has.
    """
    if creds.encode() not in line:
        return None  # most lines: not worth decoding
    try:
        entry = json.loads(line)
        request, auth = entry["request"], entry.get("auth") or {}
        if entry["type"] != "response" or not request["path"].startswith(creds):
            return None
        username = entry["response"]["data"]["username"]
        granting = (auth.get("policy_results") or {}).get("granting_policies") or []
        policies = [each["name"] for each in granting if each.get("name")]
        return str(username), Issue(
            unix=datetime.fromisoformat(entry["time"]).timestamp(),
            requester=auth.get("display_name") or None,
            entity=auth.get("entity_id") or None,
            policies=tuple(policies or auth.get("policies") or ()),
            address=request.get("remote_address") or None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def missing(issue: Issue | None, until: float | None) -> list[str]:
    """Return what can't be told of a lease; nothing when it is traced. `until` is VALID UNTIL
    (Unix seconds), None for a role that never ends."""
    if issue is None:
        return ["request"]
    told = {
        "requester": issue.requester or issue.entity,
        "policy": issue.policies,
        "address": issue.address,
        "ttl": until,
    }
    return [name for name, value in told.items() if not value]


class Leases(Probe):
    """Fields: username, requester, entity, policies, address, ttl_seconds, missing (a list; empty
    when all is told). One sample a lease, as the run ends; `t` is then."""

    name: ClassVar[str] = "leases"
    every: ClassVar[float] = 0.5

    def __init__(
        self,
        platform: Platform,
        vault: Vault,
        observe: Callable[..., Any],
        failed: Callable[[str, str], Any],
    ) -> None:
        super().__init__(observe, failed)
        self._vault = vault
        self._database = Database(platform)
        self._log = platform.vault.audit_logs[0]
        self._creds = f"{platform.vault.database_mount}/creds/"
        self._tail = LogTail(self._log, back=_PAST_BYTES)
        self._until: dict[str, float | None] = {}  # of every role seen, as it was seen first
        self._hash: dict[str, str] = {}
        self._issues: dict[str, Issue] = {}
        self._device: str | None = None

    def look(self) -> None:
        """Note new roles and new issues, and have some names hashed."""
        for name, until in self._database.dynamic_role_ends():
            self._until.setdefault(name, until)
        self._read_log()
        with contextlib.suppress(VaultRefused, VaultUnreachable, LookupError):
            self._hash_names(_AT_ONCE, seconds=0)  # else later; `close` says so when it can't

    def _read_log(self) -> None:
        for line in self._tail.lines():
            found = issue_in(line, self._creds)
            if found is not None:
                self._issues[found[0]] = found[1]

    def _hash_names(self, at_most: int | None, *, seconds: float) -> None:
        waiting = [name for name in self._until if name not in self._hash][:at_most]
        if waiting and self._device is None:
            self._device = self._find_device(seconds)
        for name in waiting:
            path = f"sys/audit-hash/{self._device}"
            body = {"input": name}
            told = self._vault.call("POST", path, json=body, seconds=seconds, timeout=2)
            self._hash[name] = str(told["data"]["hash"])

    def _find_device(self, seconds: float) -> str:
        """Return the audit device that writes the log; each has a salt of its own."""
        devices = self._vault.call("GET", "sys/audit", seconds=seconds, timeout=2)["data"]
        for path, device in devices.items():
            if str((device.get("options") or {}).get("file_path")).endswith(self._log.name):
                return str(path).strip("/")
        raise LookupError(f"no audit device writes {self._log.name}")

    def close(self) -> None:
        """Trace each lease, and tell of it."""
        try:
            self._hash_names(None, seconds=5)
        except (VaultRefused, VaultUnreachable, LookupError) as error:
            self._failed(self.name, f"roles can't be matched with the audit log: {error}")
            return
        finally:
            self._read_log()
            self._tail.close()
            self._database.close()
        for name, until in self._until.items():
            issue = self._issues.get(self._hash[name])
            ttl = None if until is None or issue is None else until - issue.unix - _GRACE_SECONDS
            self.observe(
                self.name,
                username=name,
                requester=issue.requester if issue else None,
                entity=issue.entity if issue else None,
                policies=list(issue.policies) if issue else [],
                address=issue.address if issue else None,
                ttl_seconds=None if ttl is None else round(ttl, 1),
                missing=missing(issue, until),
            )
