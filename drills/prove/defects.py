"""What a known defect is, and where they are found: a module a defect in one package."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drills.errors import SetupError

#: Where this project keeps its own, beside the package `drills` in a checkout.
PACKAGE = "tests.known_bad"
GOOD_POOL = "lease-aware"


@dataclass(frozen=True)
class Defect:
    """One thing that is wrong: with a client (`pool`) or with the platform (`faults`).

    `caught_by` maps each drill that ought to catch it to the bounds of that drill of which at
    least one ought to break. `faults` are (name, parameters), injected before the drill's own and
    undone after them: a changed setting stands in the undo log like any other fault.
    """

    caught_by: Mapping[str, tuple[str, ...]]
    pool: str = GOOD_POOL
    faults: tuple[tuple[str, dict[str, Any]], ...] = ()


@dataclass(frozen=True)
class Named:
    """A defect with its module's name (`-` for `_`) and the first sentence of its docstring."""

    name: str
    defect: Defect = field(hash=False)
    about: str


def load(package: str = PACKAGE) -> list[Named]:
    """Return the defects of `package` by name.

    A module without `DEFECT` is none (the control, say). The processes of the load must find the
    package as well, so the folder it is in goes on their path. Raises `SetupError`.
    """
    _make_importable(str(Path(__file__).parents[2]))
    _make_importable(str(Path.cwd()))
    try:
        folders = importlib.import_module(package).__path__
        names = sorted(each.name for each in pkgutil.iter_modules(folders))
        modules = {name: importlib.import_module(f"{package}.{name}") for name in names}
    except Exception as error:  # noqa: BLE001 - somebody else's modules, and whatever they raise
        reason = " ".join(str(error).split())
        raise SetupError(
            f"no defects in package {package} ({type(error).__name__}: {reason}): run from a "
            "checkout of rotation-drills, or name a package of your own"
        ) from None
    found = [
        Named(name.replace("_", "-"), module.DEFECT, about(module.__doc__))
        for name, module in modules.items()
        if isinstance(getattr(module, "DEFECT", None), Defect)
    ]
    if not found:
        raise SetupError(f"package {package} holds no defect: a module each, with a DEFECT")
    return found


def about(docstring: str | None) -> str:
    """Return what follows `Defect:` in the first sentence, on one line."""
    text = " ".join((docstring or "").split())
    text = text.partition(": ")[2] or text
    return text.partition(". ")[0].rstrip(".")


def control(package: str = PACKAGE) -> str | None:
    """Return the pool that the package's bad clients are but for their defects: `CONTROL` of its
    module `control`. None where it has none."""
    try:
        module = importlib.import_module(f"{package}.control")
    except ModuleNotFoundError:
        return None
    pool = getattr(module, "CONTROL", None)
    return pool if isinstance(pool, str) else None


def choose(defects: list[Named], name: str | None) -> list[Named]:
    """Return the one called `name`, all without one. Raises `SetupError`."""
    chosen = [each for each in defects if name in {None, each.name}]
    if not chosen:
        known = ", ".join(each.name for each in defects)
        raise SetupError(f"--only {name}: there is no such defect; there are: {known}")
    return chosen


def _make_importable(folder: str) -> None:
    if folder not in sys.path:
        sys.path.append(folder)
    before = os.environ.get("PYTHONPATH", "")
    if folder not in before.split(os.pathsep):
        os.environ["PYTHONPATH"] = f"{before}{os.pathsep}{folder}" if before else folder
