"""Finds faults by name: the entry points `rotation_drills.faults`, ours among them.

A package of yours adds a fault by an entry point of that group whose name is the fault's.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from pydantic import ValidationError

from drills.errors import SetupError
from drills.faults.base import Fault

GROUP = "rotation_drills.faults"


@cache
def _faults() -> dict[str, type[Fault[Any]]]:
    return {point.name: point.load() for point in entry_points(group=GROUP)}


def names() -> list[str]:
    """Return the names of all faults that are installed."""
    return sorted(_faults())


def parameters(name: str) -> list[str]:
    """Return the keys of a fault's parameters."""
    return list(_faults()[name].params_model.model_fields)


def make(name: str, params: dict[str, Any], *, where: str = "") -> Fault[Any]:
    """Return the fault with its parameters; `SetupError` names `where` and the wrong key."""
    kind = _faults().get(name)
    if kind is None:
        raise SetupError(f"{where}faults: there is no fault {name!r}; known: {', '.join(names())}")
    try:
        return kind(kind.params_model.model_validate(params))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SetupError(f"{where}faults.{name}.{key}: {first['msg']}") from None
