"""Finds faults by name: the entry points `rotation_drills.faults`, ours among them.

A package of yours adds a fault by an entry point of that group whose name is the fault's.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError

from drills.errors import SetupError
from drills.faults.base import Fault

GROUP = "rotation_drills.faults"


@cache
def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _load(name: str) -> type[Fault[Any]]:
    """Return the class of a fault; only its own package is imported.

    Raises `SetupError` when that can't be: another package's fault must not end every drill.
    """
    point = _points()[name]
    try:
        kind: type[Fault[Any]] = point.load()
    except Exception as error:  # noqa: BLE001 - somebody else's module, and whatever it raises
        said = " ".join(str(error).split())
        raise SetupError(
            f"fault {name}: {point.value} can't be loaded: {type(error).__name__}: {said}"
        ) from None
    return kind


def names() -> list[str]:
    """Return the names of all faults that are installed."""
    return sorted(_points())


def parameters(name: str) -> list[str]:
    """Return the keys of a fault's parameters. Raises `SetupError` when it can't be loaded."""
    return list(_load(name).params_model.model_fields)


def make(name: str, params: dict[str, Any], *, where: str = "") -> Fault[Any]:
    """Return the fault with its parameters; `SetupError` names `where` and the wrong key."""
    if name not in _points():
        raise SetupError(f"{where}faults: there is no fault {name!r}; known: {', '.join(names())}")
    kind = _load(name)
    try:
        return kind(kind.params_model.model_validate(params))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SetupError(f"{where}faults.{name}.{key}: {first['msg']}") from None
