"""`drill rotate SERVICE`: asks, rotates, says what was done and what was read before."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from drills.audit import entries, files, who
from drills.audit import since as times
from drills.audit.commands import logs_of, print_rows
from drills.audit.names import Names
from drills.console import Json, Stack, print_json, say
from drills.errors import SetupError
from drills.project import Project
from drills.rotate import Rotated, Rotation, check_new_login
from drills.stack import load_platform
from drills.vault import Vault
from infra.platform import Application, Platform, Service
from tools.environment import find_root

_ROWS = 50


def rotate(
    service: Annotated[str, typer.Argument(help="The service whose credentials leaked.")],
    *,
    since: Annotated[
        str, typer.Option(help="Then show what it read from then on: 36h, 7d, 2026-11-21 …")
    ] = "7d",
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do it; the service is out until it logs in anew.")
    ] = False,
    secret_id_file: Annotated[
        Path | None,
        typer.Option(help="Write the new secret id there too (a new file, mode 0600)."),
    ] = None,
    stack: Stack = "dev",
    as_json: Json = False,
) -> None:
    """End every credential of a service, issue anew, check, then show what was read before.

    Runs with the rights of `pulumi up`. Exit 0: done and checked; 99: something old still works or
    nothing new does; 2: not all was done, and what was is told; running it again is safe.
    """
    try:
        begin = times.parse(since)
    except ValueError as error:
        raise SetupError(f"--since: {error}") from None
    root = find_root()
    platform = load_platform(stack, root)
    application = _application(platform, service)
    _check_file(secret_id_file, application)
    start = datetime.now(UTC)
    rotation = Rotation(platform, application, project=Project(root, stack), say=say)
    try:
        _ask(rotation, platform, yes=yes)
        with _ended_by_sigterm():
            result = rotation.run()
    except KeyboardInterrupt:
        _tell_interrupted(rotation.result)
        raise
    finally:
        rotation.close()
    if not result.not_done:
        _check_anew(stack, root, result, secret_id_file)
    for path in application.secrets:
        say(f"not rotated by this: what is in {path}: change it at its source, then there")
    rows = _read_before(platform, service, begin, start)
    if as_json:
        print_json({**_as_json(result), "read": [row.as_json() for row in rows[:_ROWS]]})
    else:
        _show(result, rows, since=times.text(begin))
    if result.not_done:
        raise SetupError(
            f"rotation of {service} is not complete: {result.error}; run it again when that is "
            "mended, what is done stays done"
        )
    raise typer.Exit(0 if result.good else 99)


def _application(platform: Platform, name: str) -> Application:
    known: dict[str, Application] = {
        each.name: each for each in (*platform.services, *platform.workloads)
    }
    if name not in known:
        raise SetupError(
            f"stack {platform.stack} has no service {name!r}; it has: {', '.join(sorted(known))}"
        )
    return known[name]


def _check_file(path: Path | None, application: Application) -> None:
    if path is None:
        return
    if not isinstance(application, Service):
        raise SetupError(f"--secret-id-file: {application.name} has no secret id")
    if path.exists() or not path.parent.is_dir():
        raise SetupError(f"--secret-id-file {path}: is there already, or its folder is not")


def _ask(rotation: Rotation, platform: Platform, *, yes: bool) -> None:
    """Go on only by a clear yes: `--yes`, or the service's name typed at a terminal."""
    name = rotation.result.service
    what = f"{name} on stack {platform.stack}: {rotation.count()}"
    if yes:
        say(what)
        return
    if not sys.stdin.isatty():
        raise SetupError(f"this ends every credential of {what}: say --yes to do it")
    say(f"this ends every credential of {what}")
    if typer.prompt(f"type {name} to go on", default="", show_default=False, err=True) != name:
        raise SetupError("nothing was done")


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the rotation as Ctrl-C does: told what is done and what is not."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell_interrupted(result: Rotated) -> None:
    for step in result.done:
        say(f"done: {step}")
    for name in result.not_done:
        say(f"not done: {name}")
    if result.not_done:
        say(f"run `drill rotate {result.service}` again: what is done stays done")


def _check_anew(stack: str, root: Path, result: Rotated, secret_id_file: Path | None) -> None:
    """Read the outputs again, hand the new secret id over, and log in with it."""
    service = _application(load_platform(stack, root), result.service)
    if not isinstance(service, Service):
        return
    if secret_id_file is not None:
        descriptor = os.open(secret_id_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(service.auth.secret_id.get_secret_value())
        say(f"the new secret id is in {secret_id_file}")
    result.checks.append(check_new_login(load_platform(stack, root), service))


def _read_before(
    platform: Platform, service: str, begin: datetime, until: datetime
) -> list[who.Row]:
    vault = Vault(platform)
    names, counts = Names(vault), entries.Counts()
    try:
        having = [entries.fragment(service), *names.ids(service)]
        read = entries.read(files.find(logs_of(platform)), counts, having=having)
        rows = who.find(
            read,
            lambda entry: service in {entry.service, names.of(entry)},
            names,
            since=begin,
            until=until,
        )
    except SetupError as error:  # the rotation is done all the same
        say(str(error))
        return []
    finally:
        vault.close()
    return who.grouped(rows)


def _as_json(result: Rotated) -> dict[str, Any]:
    return {**asdict(result), "good": result.good}


def _show(result: Rotated, rows: list[who.Row], *, since: str) -> None:
    for check in result.checks:
        word = {True: "as it must be", False: "WRONG", None: "not known"}[check.good]
        say(f"check: {check.name}: {check.detail}: {word}")
    say(f"what {result.service} asked Vault for since {since}Z:")
    print_rows(rows[:_ROWS])
    if len(rows) > _ROWS:
        say(f"{len(rows) - _ROWS} more rows: drill audit reads {result.service} --limit …")
