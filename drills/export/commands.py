"""`drill export`: drills and runs in other people's formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drills.bounds.history import read
from drills.console import print_json
from drills.definition import find_drill, load_drill
from drills.errors import SetupError
from drills.export.chaostoolkit import experiment
from drills.export.journal import journal
from drills.judge import judge
from drills.stack import load_platform
from tools.environment import find_root

app = typer.Typer(help="Write a drill or a run in another tool's format.", no_args_is_help=True)


@app.command()
def chaostoolkit(
    name: Annotated[str, typer.Argument(help="A drill of the catalog, or a drill file.")],
    *,
    url: Annotated[str, typer.Option(help="Where the service under load answers.")],
    stack: Annotated[str, typer.Option("--stack", "-s", help="The Pulumi stack.")] = "dev",
) -> None:
    """Print a drill as an experiment of Chaos Toolkit's; load and bounds stay behind."""
    path = Path(name)
    drill = load_drill(path) if path.suffix in {".yaml", ".yml"} else find_drill(name)
    if not url.startswith(("http://", "https://")):
        raise SetupError(f"--url {url}: give http://HOST:PORT")
    made = experiment(drill, load_platform(stack, find_root()), url.rstrip("/"))
    print_json(made)


@app.command("journal")
def journal_of(
    run: Annotated[Path, typer.Argument(help="A run folder, its name, or `latest`.")] = Path(
        "latest"
    ),
) -> None:
    """Print a run as a journal of Chaos Toolkit's."""
    for path in (run, find_root() / "runs" / run):
        if (path / "run.json").exists():
            history = read(path)
            print_json(journal(history, judge(history)))
            return
    raise SetupError(f"{run}: no such run (no run.json there, nor in runs/{run})")
