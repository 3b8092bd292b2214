"""The `drill` command. Exit status: 0 pass, 99 a bound was broken, 3 inconclusive, 4 aborted by a
safeguard, 5 a fault could not be undone, 2 bad input or set-up, 130 interrupted."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from drills.audit.commands import app as audit_app
from drills.console import Json, Stack, print_json, say
from drills.definition import DefinitionError, Drill, catalog, find_drill, load_drill
from drills.errors import SetupError, VaultRefused, VaultUnreachable
from drills.export.commands import app as export_app
from drills.record import RecordError
from drills.rotate_command import rotate
from infra.cluster.process import ProcessError
from tools.environment import find_root, pulumi_exports
from tools.environment import plugins as pulumi_plugins
from tools.errors import ToolError

if TYPE_CHECKING:
    from drills.verdict import Verdict

app = typer.Typer(
    name="drill",
    help="Drills that prove applications survive every way a Vault credential can go.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
tools_app = typer.Typer(help="The programs that the drills stand on.", no_args_is_help=False)
app.add_typer(tools_app, name="tools", invoke_without_command=True)
app.add_typer(audit_app, name="audit")
app.command("rotate")(rotate)
app.add_typer(export_app, name="export")

#: Errors that a user can mend: one line, exit status 2.
_MENDABLE = (
    DefinitionError,
    ProcessError,
    RecordError,
    SetupError,
    ToolError,
    VaultRefused,
    VaultUnreachable,
)


# -- tools ----------------------------------------------------------------------


def _tool_rows(*, install: bool) -> list[dict[str, str]]:
    from tools import binaries, postgres  # noqa: PLC0415 - `drill --help` needs none of it

    rows = []
    for name in binaries.TOOLS:
        found = binaries.resolve(name, install=install)
        path = str(found.path)
        rows.append({"name": name, "version": found.version, "source": found.source, "path": path})
    server = postgres.resolve()
    rows.append(
        {
            "name": "postgres",
            "version": server.version,
            "source": server.source,
            "path": str(server.bin_dir),
        }
    )
    rows += [
        {
            "name": f"plugin {plugin.name}",
            "version": plugin.version,
            "source": plugin.source,
            "path": str(plugin.path),
        }
        for plugin in pulumi_plugins(find_root() / ".state" / "pulumi-home")
    ]
    return rows


def _show_tools(rows: list[dict[str, str]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    for row in rows:
        print(f"{row['name']:<18} {row['version']:<10} {row['source']:<20} {row['path']}")


@tools_app.callback(invoke_without_command=True)
def tools(context: typer.Context, as_json: Json = False) -> None:
    """List each tool, its version and where it comes from."""
    if context.invoked_subcommand is None:
        _show_tools(_tool_rows(install=False), as_json)


@tools_app.command("install")
def tools_install(as_json: Json = False) -> None:
    """Fetch or build every tool that is missing (minutes, once)."""
    rows = _tool_rows(install=True)
    pulumi_exports(find_root())
    _show_tools(rows, as_json)


@app.command("env")
def env(as_json: Json = False) -> None:
    """Print the exports with which plain `pulumi …` works: eval "$(drill env)"."""
    exports = pulumi_exports(find_root())
    if as_json:
        print_json(exports)
        return
    for name, value in exports.items():
        print(f"export {name}={shlex.quote(value)}")


@app.command("config-schema")
def config_schema() -> None:
    """Print the JSON Schema of what `Pulumi.<stack>.yaml` may say under `config:`."""
    from infra import settings  # noqa: PLC0415 - it imports Pulumi

    print_json(settings.schema())


@app.command()
def artefacts(
    service: Annotated[str, typer.Argument(help="A service of the stack.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder; artefacts/SERVICE if not given.")
    ] = None,
    stack: Stack = "dev",
    as_json: Json = False,
) -> None:
    """Write what a service needs to get its credentials: Vault Agent's files, a pod's part."""
    from drills.artefacts import write  # noqa: PLC0415
    from drills.stack import load_platform  # noqa: PLC0415

    written = write(load_platform(stack, find_root()), service, out or Path("artefacts", service))
    if as_json:
        print_json([str(path) for path in written])
    else:
        for path in written:
            print(path)


# -- drills ----------------------------------------------------------------------


@app.command("list")
def list_drills(as_json: Json = False) -> None:
    """List the drills of the catalog, and what each catches."""
    drills = catalog()
    if as_json:
        print_json([drill.model_dump() for drill in drills])
        return
    width = max(len(drill.drill) for drill in drills)
    for drill in drills:
        print(f"{drill.drill:<{width}}  {drill.phases.total:>4.0f} s  {drill.catches}")


@app.command()
def run(
    name: Annotated[
        str | None, typer.Argument(help="A drill of the catalog, or a drill file.")
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every drill of the catalog.")] = False,
    tag: Annotated[str | None, typer.Option(help="Every drill with this tag.")] = None,
    pool: Annotated[str, typer.Option(help="The client's pool.")] = "lease-aware",
    target: Annotated[
        str | None, typer.Option(help="URL of a service that takes the place of the load.")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="The renewal policy of a fleet.")] = None,
    stack: Stack = "dev",
    as_json: Json = False,
) -> None:
    """Run one drill (or several in turn) under load, judge, end with the (worst) exit status."""
    from drills import series  # noqa: PLC0415 - `drill list` needs none of it
    from drills.calendar import overdue  # noqa: PLC0415
    from drills.loads.instead import with_policy, with_target  # noqa: PLC0415
    from drills.runner import Run  # noqa: PLC0415
    from drills.stack import load_platform  # noqa: PLC0415

    if [name is not None, every, tag is not None].count(True) != 1:
        raise SetupError("drill run takes one of: a drill's NAME, --all, --tag TAG")
    drills = [_named_drill(name)] if name else series.choose(catalog(), tag)
    _check_pool(pool)
    root = find_root()
    platform = load_platform(stack, root)
    for line in overdue(platform, datetime.now(UTC).date()):
        say(f"warning: {line}")

    def execute(drill: Drill) -> tuple[Verdict, Path]:
        drill = with_target(drill, target) if target is not None else drill
        drill = with_policy(drill, policy) if policy is not None else drill
        return Run(drill, platform, pool=pool, runs_dir=root / "runs", say=say).execute()

    if name:
        verdict, path = execute(drills[0])
        _show_verdict(verdict, path, as_json)
        raise typer.Exit(verdict.exit)
    rows = series.run_all(drills, execute, say=say)
    if as_json:
        print_json(series.as_json(rows, len(drills)))
    else:
        for row in rows:
            print(series.line(row))
    raise typer.Exit(series.worst(row.exit for row in rows))


def _check_pool(pool: str) -> None:
    from loadtests.pools import PoolOpenError, find_pool  # noqa: PLC0415

    folder = str(Path.cwd())
    if folder not in sys.path:  # a pool of the folder one stands in, as with `python -m`
        sys.path.append(folder)
    try:
        find_pool(pool)
    except PoolOpenError as error:
        raise SetupError(f"--pool: {error}") from None


def _named_drill(name: str) -> Drill:
    return load_drill(Path(name)) if name.endswith((".yaml", ".yml")) else find_drill(name)


def _show_verdict(verdict: Any, path: Path, as_json: bool) -> None:
    if as_json:
        print(verdict.model_dump_json(indent=2))
        return
    from drills.report import terminal  # noqa: PLC0415

    terminal.show(verdict, path, console=Console())


RunPath = Annotated[Path, typer.Argument(help="A run folder, its name, or `latest`.")]


def _run_folder(run_path: Path) -> Path:
    for path in (run_path, find_root() / "runs" / run_path):
        if (path / "run.json").exists():
            return path.resolve()
    raise SetupError(f"{run_path}: no such run (no run.json there, nor in runs/{run_path})")


@app.command()
def judge(run_path: RunPath = Path("latest"), as_json: Json = False) -> None:
    """Judge a run again from its folder alone; write verdict, JUnit file and report anew."""
    from drills.judge import judge_folder  # noqa: PLC0415

    path = _run_folder(run_path)
    verdict = judge_folder(path)
    _show_verdict(verdict, path, as_json)
    raise typer.Exit(verdict.exit)


@app.command()
def report(run_path: RunPath = Path("latest"), as_json: Json = False) -> None:
    """Write the report of a run anew and print where it is."""
    from drills.judge import judge_folder  # noqa: PLC0415

    path = _run_folder(run_path)
    judge_folder(path)
    place = path / "report.html"
    if as_json:
        print_json({"report": place, "bytes": place.stat().st_size})
    else:
        print(place)


@app.command()
def recover(stack: Stack = "dev", as_json: Json = False) -> None:
    """Undo what a run that died left behind; exit 5 if that fails."""
    from drills.recovery import recover as undo_left_over  # noqa: PLC0415
    from drills.stack import load_platform  # noqa: PLC0415

    problems = undo_left_over(load_platform(stack, find_root()), say=say)
    if as_json:
        print_json({"problems": problems})
    for problem in problems:
        say(problem)
    raise typer.Exit(5 if problems else 0)


@app.command()
def prove(
    *,
    only: Annotated[
        str | None, typer.Option(help="One defect; `good`: only the good client.")
    ] = None,
    drill: Annotated[str | None, typer.Option(help="Only the cells of this drill.")] = None,
    repeats: Annotated[int, typer.Option(help="Runs of the good client a drill.")] = 1,
    bad_only: Annotated[bool, typer.Option("--bad-only", help="Without the good clients.")] = False,
    defects: Annotated[
        str | None, typer.Option(help="Package of the defects; this project's unless told.")
    ] = None,
    stack: Stack = "dev",
    as_json: Json = False,
) -> None:
    """Run every known defect against the drills that ought to catch it, and the good client
    against the same; exit 99 unless all came out as expected."""
    from drills.prove import command, table  # noqa: PLC0415
    from drills.prove.matrix import exit_status  # noqa: PLC0415
    from drills.stack import load_platform  # noqa: PLC0415

    root = find_root()
    wanted = command.Wanted(
        only=only, drill=drill, repeats=repeats, package=defects, bad_only=bad_only
    )
    plans, drills = command.planned(wanted)
    folder, cells = command.prove(plans, drills, load_platform(stack, root), root / "runs", say=say)
    if as_json:
        print_json(table.as_json(cells, len(plans), {"folder": str(folder)}))
    else:
        for line in table.lines(cells, len(plans)):
            print(line)
        print(f"matrix: {folder / 'prove.md'}")
    raise typer.Exit(exit_status(cells, len(plans)))


@app.command()
def stop(
    stack: Stack = "dev",
    hold_on: Annotated[
        bool, typer.Option("--hold", help="Let no drill start from now on, too.")
    ] = False,
    release: Annotated[bool, typer.Option("--release", help="Let drills start again.")] = False,
    as_json: Json = False,
) -> None:
    """Stop the drill that runs on a stack and wait until its faults are undone; else exit 5."""
    from drills import hold  # noqa: PLC0415
    from drills.remote import stop_elsewhere  # noqa: PLC0415
    from drills.stack import load_platform  # noqa: PLC0415
    from drills.stop import stop as stop_running  # noqa: PLC0415
    from drills.undo import lock_holder  # noqa: PLC0415

    if hold_on and release:
        raise SetupError("drill stop: --hold and --release exclude each other")
    platform = load_platform(stack, find_root())
    state_dir = platform.drills.state_dir
    whole = True
    if release:
        say("drills may start again" if hold.take_off(state_dir) else "drills were not held")
    else:
        if hold_on:
            hold.put_on(state_dir)
            say("no drill starts on this stack until `drill stop --release`")
        if lock_holder(state_dir) is not None or not stop_elsewhere(platform, say=say):
            whole = stop_running(state_dir, say=say)
        if not whole:
            say("a fault was left behind: run `drill recover`")
    if as_json:
        print_json({"held": hold.reason(state_dir) is not None, "undone": whole})
    raise typer.Exit(0 if whole else 5)


#: The base of typer's usage errors. It bundles its own click, of which this is the public end.
_USAGE_ERROR: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)


def main() -> None:
    """Run the command line; errors that a user can mend are one line and exit status 2."""
    _exit(lambda: app(standalone_mode=False))


def _exit(command: Callable[[], Any]) -> None:
    try:
        status = command()
    except (typer.Abort, KeyboardInterrupt):
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    except _MENDABLE as error:
        say(f"drill: {' '.join(str(error).split())}")
        status = 2
    except _USAGE_ERROR as error:
        say(f"drill: {error}")
        status = 2
    sys.exit(status if isinstance(status, int) else 0)
