"""Pools that are not ours: `package.module:Class`, or a name of the entry point group
`rotation_drills.pools`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from loadtests.errors import LoadtestError
from loadtests.secrets import redact

GROUP = "rotation_drills.pools"
_METHODS = ("open", "connection", "lease", "get_stats", "close")


class PoolUnknown(LoadtestError):
    """Raised when no pool of that name can be had; the line says why and what there is."""


def names() -> tuple[str, ...]:
    """Return the pools that installed packages offer."""
    return tuple(sorted(point.name for point in entry_points(group=GROUP)))


def load(kind: str) -> Callable[..., Any] | None:
    """Return the class that `kind` names; None when it is neither offered nor `module:Class`.

    Raises `PoolUnknown` when it can't be imported or is no pool. Importing runs the module.
    """
    points = [point for point in entry_points(group=GROUP) if point.name == kind]
    if not points and ":" not in kind:
        return None
    try:
        made = points[0].load() if points else _named(kind)
    except PoolUnknown:
        raise
    except Exception as error:  # noqa: BLE001 - somebody else's module, and whatever it raises
        reason = redact(" ".join(str(error).split()))
        raise PoolUnknown(f"pool {kind}: {type(error).__name__}: {reason}") from None
    missing = [method for method in _METHODS if not callable(getattr(made, method, None))]
    if not callable(made) or missing:
        raise PoolUnknown(
            f"pool {kind} is no pool: it lacks {', '.join(missing)}; see loadtests/pools/static.py"
        )
    pool: Callable[..., Any] = made
    return pool


def _named(kind: str) -> Any:
    module, _, attribute = kind.partition(":")
    if not module or not attribute:
        raise PoolUnknown(f"pool {kind!r}: give package.module:Class")
    found = importlib.import_module(module)
    if not hasattr(found, attribute):
        raise PoolUnknown(f"pool {kind}: module {module} has no {attribute}")
    return getattr(found, attribute)
