"""`drill audit`: what the audit log answers, on the stack's own log or on any Vault's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from drills.audit import drift as drifting
from drills.audit import entries, files, leases, who
from drills.audit import since as times
from drills.audit.names import Names
from drills.console import Json, print_json, say, table
from drills.errors import SetupError
from drills.stack import load_platform
from drills.vault import Vault
from infra.platform import Platform
from tools.environment import find_root

app = typer.Typer(help="Questions to Vault's audit log.", no_args_is_help=True)

Log = Annotated[
    list[str] | None,
    typer.Option(
        "--log",
        help="Audit log of any Vault: a file (plain, .gz, .bz2, .xz, .zst), a folder, a glob; "
        "repeatable. Default: the stack's own.",
    ),
]
OfStack = Annotated[
    str | None, typer.Option("--stack", "-s", help="The Pulumi stack (dev, unless --log is given).")
]
Since = Annotated[
    str | None, typer.Option(help="From then on: 36h, 7d, 2026-11-21, 2026-11-21T10:00Z.")
]
Limit = Annotated[int, typer.Option(min=1, help="Rows to show; the rest is counted.")]


def _time(option: str, text: str | None) -> datetime | None:
    try:
        return times.parse(text) if text else None
    except ValueError as error:
        raise SetupError(f"{option}: {error}") from None


def logs_of(platform: Platform) -> list[str]:
    """Return the stack's audit logs with their rotated ones: the first device's where it has any.

    Both devices log the same; one is enough.
    """
    for log in platform.vault.audit_logs:
        if log.exists():
            return [str(log), *(str(each) for each in sorted(log.parent.glob(f"{log.name}[.-]*")))]
    listed = ", ".join(str(path) for path in platform.vault.audit_logs)
    raise SetupError(f"stack {platform.stack} has no audit log on this machine ({listed})")


class _Source:
    """Where the answers come from: log files, and the stack's Vault where one is to be asked."""

    def __init__(self, log: list[str] | None, stack: str | None, *, needs_stack: bool) -> None:
        self.platform: Platform | None = None
        self.vault: Vault | None = None
        if stack or needs_stack or not log:
            self.platform = load_platform(stack or "dev", find_root())
            self.vault = Vault(self.platform)
            log = log or logs_of(self.platform)
        self.files = files.find(log or [])
        self.names = Names(self.vault)
        self.counts = entries.Counts()

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *_: object) -> None:
        if self.vault is not None:
            self.vault.close()

    def read(self, *having: bytes, answers_only: bool = False) -> Iterable[entries.Entry]:
        return entries.read(self.files, self.counts, having=having, answers_only=answers_only)

    def as_json(self, rows: list[dict[str, Any]], left_out: int) -> dict[str, Any]:
        counts = self.counts
        return {
            "covers": {"from": counts.first or None, "to": counts.last or None},
            "read": {
                "files": counts.files,
                "lines": counts.lines,
                "unreadable": counts.unreadable,
                "torn": counts.torn,
            },
            "rows": rows,
            "left_out": left_out,
        }

    def remark(self, left_out: int) -> None:
        """Say, beside the answer, what it rests on."""
        counts = self.counts
        odd = "".join(
            f", {figure} {word}"
            for figure, word in ((counts.unreadable, "unreadable"), (counts.torn, "torn"))
            if figure
        )
        span = f", {counts.first[:19]}Z to {counts.last[:19]}Z" if counts.first else ""
        say(f"{counts.lines} lines, files: {counts.files}{odd}{span}")
        if left_out:
            say(f"{left_out} more rows: raise --limit, or ask more narrowly")
        if self.names.trouble:
            say(f"names are the log's own: {self.names.trouble}")


_HEAD = ["SERVICE", "OPERATION", "PATH", "ADDRESS", "POLICY", "OUTCOME", "FIRST", "LAST", "COUNT"]


def cells(row: who.Row) -> list[object]:
    """Return a row of `who` as it is printed."""
    asked = row.asked
    first, last = f"{row.first[:19]}Z", f"{row.last[:19]}Z"
    told = [asked.service, asked.operation, asked.path, asked.address, asked.policy, asked.outcome]
    return [*told, first, last, row.count]


def print_rows(rows: list[who.Row]) -> None:
    """Print rows of `who`."""
    table(_HEAD, map(cells, rows))


def _answer(
    source: _Source,
    wanted: Callable[[entries.Entry], bool],
    *,
    having: list[bytes],
    since: str | None,
    until: str | None,
    each: bool,
    limit: int,
    as_json: bool,
) -> None:
    low, high = _time("--since", since), _time("--until", until)
    rows = who.find(source.read(*filter(None, having)), wanted, source.names, since=low, until=high)
    rows = rows[::-1] if each else who.grouped(rows)
    shown, left_out = rows[:limit], max(0, len(rows) - limit)
    if as_json:
        print_json(source.as_json([row.as_json() for row in shown], left_out))
        return
    print_rows(shown)
    source.remark(left_out)


Until = Annotated[str | None, typer.Option(help="Up to then; written like --since.")]
Each = Annotated[bool, typer.Option("--each", help="Each request, the latest first; not grouped.")]


@app.command("who")
def who_(
    path: Annotated[
        str, typer.Argument(help="A path, or a pattern: secret/data/prod/*, +/creds/orders.")
    ],
    *,
    since: Since = None,
    until: Until = None,
    operation: Annotated[
        str | None, typer.Option("--op", help="This operation only: read, list, update …")
    ] = None,
    each: Each = False,
    limit: Limit = 50,
    log: Log = None,
    stack: OfStack = None,
    as_json: Json = False,
) -> None:
    """Tell which service asked for a path, when, from which address, under which policy."""
    fits = who.PathMatch(path)

    def wanted(entry: entries.Entry) -> bool:
        return operation in {None, entry.operation} and fits(entry.path)

    with _Source(log, stack, needs_stack=False) as source:
        having = [entries.fragment(fits.pattern)]
        _answer(
            source,
            wanted,
            having=having,
            since=since,
            until=until,
            each=each,
            limit=limit,
            as_json=as_json,
        )


@app.command("reads")
def reads(
    service: Annotated[str, typer.Argument(help="The service, as `who` names it.")],
    *,
    since: Since = None,
    until: Until = None,
    each: Each = False,
    limit: Limit = 50,
    log: Log = None,
    stack: OfStack = None,
    as_json: Json = False,
) -> None:
    """Tell what a service asked for, when, and from which address: who PATH the other way round."""
    with _Source(log, stack, needs_stack=False) as source:
        names = source.names
        _answer(
            source,
            lambda entry: service in {entry.service, names.of(entry)},
            having=[entries.fragment(service), *names.ids(service)],
            since=since,
            until=until,
            each=each,
            limit=limit,
            as_json=as_json,
        )


@app.command()
def drift(
    *,
    since: Since = None,
    policies: Annotated[
        Path | None, typer.Option(help="A folder with NAME.hcl files, instead of Vault's policies.")
    ] = None,
    policy: Annotated[
        list[str] | None, typer.Option("--policy", help="This policy only; repeatable.")
    ] = None,
    limit: Limit = 200,
    log: Log = None,
    stack: OfStack = None,
    as_json: Json = False,
) -> None:
    """Tell what policies grant and nobody used (since then, or in the whole log)."""
    low = _time("--since", since)
    with ExitStack() as stack_:
        source = stack_.enter_context(_Source(log, stack, needs_stack=policies is None))
        if policies is not None:
            rules = drifting.rules_of_folder(policies)
        elif source.vault is not None:
            rules = drifting.rules_of_vault(source.vault)
        wanted = set(policy or ())
        unknown = sorted(wanted - {rule.policy for rule in rules})
        if unknown:
            raise SetupError(
                f"--policy {unknown[0]}: there is no such policy, or it grants nothing"
            )
        used = drifting.last_uses(source.read(answers_only=True), rules)
        shown = [rule for rule in rules if not wanted or rule.policy in wanted]
        rows = drifting.unused(shown, used, since=low)
        left_out = max(0, len(rows) - limit)
        rows = rows[:limit]
        if as_json:
            print_json(source.as_json([row.as_json() for row in rows], left_out))
            return
        began = f"before {source.counts.first[:19]}Z" if source.counts.first else "ever"
        table(
            ["POLICY", "PATH", "UNUSED", "SINCE"],
            (
                [
                    row.policy,
                    row.path,
                    ",".join(row.capabilities),
                    f"{row.last_used[:19]}Z" if row.last_used else began,
                ]
                for row in rows
            ),
        )
        source.remark(left_out)


@app.command("leases")
def leases_(
    *,
    prefix: Annotated[
        list[str] | None,
        typer.Option("--prefix", help="Leases under this; default: those of the stack's services."),
    ] = None,
    show_ids: Annotated[
        bool, typer.Option("--show-ids", help="Show lease ids: who has one can revoke it.")
    ] = False,
    limit: Limit = 50,
    log: Log = None,
    stack: OfStack = None,
    as_json: Json = False,
) -> None:
    """Tell each live lease with its owner and age, the oldest first."""
    with _Source(log, stack, needs_stack=True) as source:
        if source.platform is None or source.vault is None:
            raise AssertionError("a stack was asked for")
        mount = source.platform.vault.database_mount
        own = [
            f"{mount}/creds/{role}"
            for service in source.platform.services
            for role in (service.role, service.read_only_role)
        ]
        owned = leases.owners(source.read(b'"lease_id"', answers_only=True), source.names)
        rows, uncounted = leases.live(source.vault, prefix or own, owned)
        left_out = max(0, len(rows) - limit) + uncounted
        rows = rows[:limit]
        if as_json:
            told = [row.as_json(show_id=show_ids) for row in rows]
            print_json(source.as_json(told, left_out))
            return
        table(
            ["LEASE", "OWNER", "ADDRESS", "AGE", "TTL LEFT", "RENEWED"],
            (
                [
                    row.id if show_ids else row.prefix,
                    row.owner.service if row.owner else "not in this log",
                    row.owner.address if row.owner else "-",
                    f"{row.age_seconds}s",
                    f"{row.ttl_seconds}s",
                    f"{row.renewed[:19]}Z" if row.renewed else "never",
                ]
                for row in rows
            ),
        )
        source.remark(left_out)
