"""What the subcommands of `drill` share: common options, and how they speak to a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Stack = Annotated[str, typer.Option("--stack", "-s", help="The Pulumi stack.")]


def say(line: str) -> None:
    """Tell the person at the terminal; standard output stays for the answer itself."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def print_json(value: Any) -> None:
    """Print the answer as JSON."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def table(head: list[str], rows: Iterable[Iterable[object]]) -> None:
    """Print columns, each as wide as its widest cell: for people, and for grep."""
    cells = [head, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(head))]
    for row in cells:
        pairs = zip(row, widths, strict=True)
        sys.stdout.write("  ".join(cell.ljust(width) for cell, width in pairs).rstrip() + "\n")
