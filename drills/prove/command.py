"""`drill prove`: plan, run, write."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from drills import preflight
from drills.definition import Drill, catalog
from drills.errors import SetupError
from drills.prove import defects, matrix, rest, table
from drills.recovery import Say
from drills.runner import Run
from drills.verdict import Verdict
from infra.platform import Platform

#: `--only good`: no defect, the good client alone.
GOOD_ONLY = "good"


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for."""

    only: str | None = None
    drill: str | None = None
    repeats: int = 1
    package: str | None = None
    bad_only: bool = False


def planned(wanted: Wanted) -> tuple[list[matrix.Plan], list[Drill]]:
    """Return the cells and the catalog they are made of. Raises `SetupError`; touches nothing."""
    if wanted.repeats < 1:
        raise SetupError(f"--repeats {wanted.repeats}: it must be 1 or more")
    known = defects.load(wanted.package or defects.PACKAGE)
    good_only = wanted.only == GOOD_ONLY
    chosen = defects.choose(known, None if good_only else wanted.only)
    drills = catalog()
    control = defects.control(wanted.package or defects.PACKAGE)
    plans = matrix.plan(
        chosen,
        drills,
        drill=wanted.drill,
        repeats=wanted.repeats,
        good=not wanted.bad_only,
        control=control,
    )
    plans = [each for each in plans if not good_only or each.defect == matrix.GOOD]
    if not plans:
        raise SetupError("nothing is left to run: --only good and --bad-only exclude each other")
    return plans, drills


def prove(
    plans: list[matrix.Plan], drills: list[Drill], platform: Platform, runs_dir: Path, *, say: Say
) -> tuple[Path, list[matrix.Cell]]:
    """Run the cells; return the folder they are written to, and what came of them.

    What has been run is written after every cell, so that Ctrl-C loses none. Raises `SetupError`
    for a stack that does not allow drills, before anything is touched.
    """
    used = {each.drill for each in plans}
    for drill in drills:
        if drill.drill in used:
            preflight.check_allowed(platform, drill)
    now = datetime.now(UTC)
    folder = runs_dir / f"{now.strftime('%Y%m%dt%H%M%Sz')}-prove"
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise SetupError(f"{folder}: can't be made: {error.strerror}") from None
    about = {"started": now.isoformat(timespec="seconds"), **_machine()}

    def execute(drill: Drill, pool: str) -> tuple[Verdict, Path]:
        return Run(drill, platform, pool=pool, runs_dir=runs_dir, say=say).execute()

    cells: list[matrix.Cell] = []
    running = matrix.run(plans, drills, execute, lambda: rest.bring_to_rest(platform), say=say)
    for cell in running:
        cells.append(cell)
        table.write(folder, cells, len(plans), about)
    return folder, cells


def _machine() -> dict[str, Any]:
    """What the figures were taken on."""
    load = psutil.getloadavg()[0]
    return {
        "cpus": psutil.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "load_at_start": round(load, 1),
    }
