"""What policies grant and nobody used: the rights that could be taken away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from drills.audit import hcl
from drills.audit import since as times
from drills.audit.acl import Acl, Rule
from drills.audit.entries import Entry
from drills.errors import SetupError
from drills.vault import Vault

#: Vault's own: `default` is on every token for what some of them need; `root` has no rules.
_VAULTS_OWN = {"default", "root", "response-wrapping", "control-group"}


@dataclass(frozen=True)
class Unused:
    """Capabilities of one path of a policy that no request used in the time looked at."""

    policy: str
    path: str
    capabilities: tuple[str, ...]
    last_used: str | None  # in the log before that time; None: never in this log

    def as_json(self) -> dict[str, Any]:
        """Return the row as one object."""
        return asdict(self)


def _rules(name: str, text: str, where: str) -> list[Rule]:
    try:
        return [Rule(name, path, rights) for path, rights in hcl.parse(text)]
    except hcl.PolicyError as error:
        raise SetupError(f"{where}: {error}") from None


def rules_of_folder(folder: Path) -> list[Rule]:
    """Return the rules of every `NAME.hcl` and `NAME.json` in `folder`, policy NAME each.

    Raises `SetupError` when there is none, or one can't be read.
    """
    files = sorted(
        path
        for path in (folder.iterdir() if folder.is_dir() else [])
        if path.suffix in {".hcl", ".json"}
    )
    if not files:
        raise SetupError(f"--policies {folder}: no folder with NAME.hcl files, a policy each")
    rules: list[Rule] = []
    for path in files:
        try:
            rules += _rules(path.stem, path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise SetupError(f"{path}: can't be read ({error})") from None
    return rules


def rules_of_vault(vault: Vault) -> list[Rule]:
    """Return the rules of every policy in Vault but its own.

    Raises `VaultRefused`, `VaultUnreachable`, and `SetupError` for one that can't be read.
    """
    rules: list[Rule] = []
    for name in vault.list_keys("sys/policies/acl"):
        if name not in _VAULTS_OWN:
            told = vault.call("GET", f"sys/policies/acl/{name}")["data"]
            rules += _rules(name, str(told.get("policy") or ""), f"policy {name}")
    return rules


def last_uses(entries: Iterable[Entry], rules: Iterable[Rule]) -> dict[tuple[Rule, str], str]:
    """Return when each (rule, capability) was last used, for those that were.

    Used means that a request which Vault answered without an error was granted by that rule: the
    token had the policy, and of all its policies' paths this one won. Where Vault logged which
    policies granted it, only theirs count.
    """
    by_policy: dict[str, list[Rule]] = {}
    for rule in rules:
        by_policy.setdefault(rule.policy, []).append(rule)
    acls: dict[tuple[str, ...], Acl] = {}
    # the same is asked over and over: what is asked is decided on once, at the end
    latest: dict[tuple[tuple[str, ...], str, str, tuple[str, ...], str], str] = {}
    for entry in entries:
        if not entry.answered or entry.outcome != "ok":
            continue
        policies = entry.policies
        acl = acls.get(policies)
        if acl is None:
            mine = (rule for name in policies for rule in by_policy.get(name, ()))
            acl = acls[policies] = Acl(mine)
        entity = entry.entity_id if acl.templated else ""
        asked = (policies, entry.path, entry.operation, entry.granting, entity)
        time = entry.time
        before = latest.get(asked)
        if before is None or time > before:
            latest[asked] = time
    used: dict[tuple[Rule, str], str] = {}
    for (policies, path, operation, granting, entity), time in latest.items():
        for rule, capability in acls[policies].granting(path, operation, entity_id=entity):
            if not granting or rule.policy in granting:
                used[rule, capability] = max(time, used.get((rule, capability), ""))
    return used


def unused(
    rules: Iterable[Rule], used: dict[tuple[Rule, str], str], *, since: datetime | None = None
) -> list[Unused]:
    """Return what was not used since then (None: in the whole log), a row a path and last use."""
    low = times.text(since) if since else ""
    rows = []
    for rule in dict.fromkeys(rules):
        idle: dict[str | None, list[str]] = {}
        for capability in sorted(rule.capabilities - {"deny"}):
            last = used.get((rule, capability))
            if last is None or last[:19] < low:
                idle.setdefault(last, []).append(capability)
        rows += [
            Unused(rule.policy, rule.path, tuple(rights), last) for last, rights in idle.items()
        ]
    return sorted(rows, key=lambda row: (row.policy, row.path, row.last_used or ""))
