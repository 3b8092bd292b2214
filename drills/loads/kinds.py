"""The kinds of load, and which one a map of keys is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drills.loads.base import Load
from drills.loads.fleet import FleetLoad
from drills.loads.locustfile import LocustfileLoad
from drills.loads.service import ServiceLoad
from drills.loads.url import UrlLoad

#: `service` is last: in the others it only names whose credentials are used.
KINDS: dict[str, type[Load]] = {
    kind.key: kind for kind in (FleetLoad, UrlLoad, LocustfileLoad, ServiceLoad)
}


def kind_of(given: Mapping[str, Any]) -> type[Load]:
    """Return the model for these keys. Raises `ValueError` for keys of two kinds, or of none."""
    told = [key for key in KINDS if key in given and key != ServiceLoad.key]
    if len(told) > 1:
        raise ValueError(f"{' and '.join(told)} exclude each other: each is a load of its own")
    if told:
        return KINDS[told[0]]
    if not given:
        raise ValueError(f"one of these keys is wanted: {', '.join(sorted(KINDS))}")
    return ServiceLoad
