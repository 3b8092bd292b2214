"""Who asked for a path, and what a service asked for: rows of the audit log, grouped or each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from drills.audit import since as times
from drills.audit.acl import Acl, Rule
from drills.audit.entries import Entry
from drills.audit.names import Names


@dataclass(frozen=True)
class Asked:
    """A request, as far as it tells requests apart."""

    service: str
    operation: str
    path: str
    address: str
    policy: str
    outcome: str


@dataclass
class Row:
    """Requests that differ in nothing but their time. Times are as Vault wrote them, UTC."""

    asked: Asked
    first: str
    last: str
    count: int = 1

    def as_json(self) -> dict[str, Any]:
        """Return the row as one flat object."""
        return {**asdict(self.asked), "first": self.first, "last": self.last, "count": self.count}


class PathMatch:
    """Whether a path is what was asked after; `*` and `+` mean what they mean in policies."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern.strip().strip("/") if pattern.strip() != "/" else "*"
        self._acl = Acl([Rule("", self.pattern, frozenset({"list"}))])

    def __call__(self, path: str) -> bool:
        return bool(self._acl.rules(path, "list"))


def _policy(entry: Entry) -> str:
    """Return what let it in. Before Vault 1.11 the log has only all that the token had."""
    if entry.granting:
        return ",".join(sorted(set(entry.granting)))
    if entry.outcome == "denied" or not entry.has_token:
        return "-"
    return ",".join(sorted(set(entry.policies) - {"default"})) or "-"


def _row(entry: Entry, names: Names) -> Row:
    asked = Asked(
        service=names.of(entry),
        operation=entry.operation,
        path=entry.path,
        address=entry.address,
        policy=_policy(entry),
        outcome=entry.outcome,
    )
    return Row(asked, entry.time, entry.time)


def find(
    entries: Iterable[Entry],
    wanted: Callable[[Entry], bool],
    names: Names,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Row]:
    """Return one row a request that is `wanted`, in the order of the log.

    A request is one however many devices logged it, and however many lines it has: its answer
    counts, or, where none was ever logged, the request itself (`no answer`).
    """
    low, high = (times.text(since) if since else ""), (times.text(until) if until else "~")
    answered: set[str] = set()
    rows: list[Row] = []
    open_: dict[str, Row] = {}
    for entry in entries:
        if not low <= entry.time[:19] < high or not wanted(entry):
            continue
        if entry.id and entry.id in answered:
            continue
        if not entry.answered:
            open_.setdefault(entry.id, _row(entry, names))
            continue
        answered.add(entry.id)
        open_.pop(entry.id, None)
        rows.append(_row(entry, names))
    rows += open_.values()
    return sorted(rows, key=lambda row: row.first)


def grouped(rows: Iterable[Row]) -> list[Row]:
    """Return requests that differ only in their time as one row; the latest used comes first."""
    groups: dict[Asked, Row] = {}
    for row in rows:
        group = groups.get(row.asked)
        if group is None:
            groups[row.asked] = Row(row.asked, row.first, row.last, row.count)
            continue
        group.first, group.last = min(group.first, row.first), max(group.last, row.last)
        group.count += row.count
    return sorted(groups.values(), key=lambda row: (row.last, row.asked.service), reverse=True)
