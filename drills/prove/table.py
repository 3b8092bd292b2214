"""The matrix written down: prove.json, prove.md, and lines for the terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drills.prove.matrix import EXPECTED, Cell, exit_status
from drills.record import write_atomically

_WORD = {
    "caught": "caught",
    "passed": "passed",
    "missed": "**missed**",
    "other-bound": "**failed, but in no named bound**",
    "false-alarm": "**false alarm**",
    "unknown": "**unknown**",
    "not-had": "**could not be had**",
}


def as_json(cells: Sequence[Cell], planned: int, about: dict[str, Any]) -> dict[str, Any]:
    """Return what prove.json holds."""
    return {
        **about,
        "exit": exit_status(cells, planned),
        "planned": planned,
        "outcomes": dict(sorted(Counter(cell.outcome for cell in cells).items())),
        "cells": [cell.as_json() for cell in cells],
    }


def write(folder: Path, cells: Sequence[Cell], planned: int, about: dict[str, Any]) -> None:
    """Write prove.json and prove.md into `folder`, whole or not at all."""
    told = as_json(cells, planned, about)
    write_atomically(folder / "prove.json", json.dumps(told, indent=2) + "\n")
    write_atomically(folder / "prove.md", markdown(cells, planned, about))


def markdown(cells: Sequence[Cell], planned: int, about: dict[str, Any]) -> str:
    """Return the matrix as Markdown: a row a defect and drill, then the good clients' runs."""
    lines = [
        f"# The matrix of {about.get('started', '')}",
        "",
        f"{summary(cells, planned)} "
        + " · ".join(f"{key} {value}" for key, value in about.items()),
        "",
        "| defect | drill | expected | verdict | bounds that broke | outcome |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for cell in cells:
        if not cell.plan.bounds:
            continue
        wanted = " or ".join(f"`{bound}`" for bound in cell.plan.bounds)
        broke = ", ".join(f"`{bound}`" for bound in cell.broke) or "none"
        again = "" if cell.tries == 1 else f" (at try {cell.tries})"
        why = "" if cell.outcome in EXPECTED else f": {_plain(cell.reason)}"
        lines.append(
            f"| `{cell.plan.defect}` | `{cell.plan.drill}` | fail in {wanted} "
            f"| {cell.verdict or 'none'} | {broke} | {_WORD[cell.outcome]}{again}{why} |"
        )
    lines += [
        "",
        "| good client | drill | runs | passed | otherwise |",
        "| --- | --- | --- | --- | --- |",
    ]
    good = [cell for cell in cells if not cell.plan.bounds]
    for drill, pool in dict.fromkeys((cell.plan.drill, cell.plan.pool) for cell in good):
        runs = [cell for cell in good if (cell.plan.drill, cell.plan.pool) == (drill, pool)]
        passed = sum(cell.outcome == "passed" for cell in runs)
        rest = "; ".join(
            f"{_WORD[cell.outcome]} ({_plain(cell.reason)})"
            for cell in runs
            if cell.outcome != "passed"
        )
        lines.append(f"| `{pool}` | `{drill}` | {len(runs)} | {passed} | {rest or 'none'} |")
    return "\n".join(lines) + "\n"


def summary(cells: Sequence[Cell], planned: int) -> str:
    """Return one line: how many defects were caught, and how the good client did."""
    bad = [cell for cell in cells if cell.plan.bounds]
    good = [cell for cell in cells if not cell.plan.bounds]
    caught = sum(cell.outcome == "caught" for cell in bad)
    passed = sum(cell.outcome == "passed" for cell in good)
    line = (
        f"{caught} of {len(bad)} bad cells caught, "
        f"{passed} of {len(good)} runs of good clients passed"
    )
    missing = planned - len(cells)
    return line + (f"; {missing} cells were not run." if missing else ".")


def lines(cells: Sequence[Cell], planned: int) -> list[str]:
    """Return a line a cell for the terminal, and the summary."""
    width = max((len(cell.plan.defect) for cell in cells), default=0)
    return [
        *(
            f"{cell.outcome:<11} {cell.plan.defect:<{width}}  {cell.plan.drill:<27} "
            f"{', '.join(cell.broke) or cell.reason or 'all bounds kept'}"
            for cell in cells
        ),
        summary(cells, planned),
    ]


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")[:200]
