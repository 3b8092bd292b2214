"""`load:` of a drill: what is put under load. One kind a file, told apart by its key.

The models are here; `drills.loads.opening` makes the processes of one.
"""

from __future__ import annotations

from drills.loads.base import Load
from drills.loads.fleet import FleetLoad
from drills.loads.kinds import KINDS, kind_of
from drills.loads.locustfile import LocustfileLoad
from drills.loads.service import ServiceLoad
from drills.loads.url import UrlLoad

__all__ = [
    "KINDS",
    "FleetLoad",
    "Load",
    "LocustfileLoad",
    "ServiceLoad",
    "UrlLoad",
    "kind_of",
]
