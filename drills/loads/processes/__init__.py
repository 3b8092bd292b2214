"""The processes of a load: started by the runner, and dead when it is."""

from __future__ import annotations

from pathlib import Path

from drills.loads import FleetLoad, Load, LocustfileLoad, ServiceLoad, UrlLoad
from drills.loads.processes.base import LoadProcesses
from drills.loads.processes.fleet import FleetProcesses
from drills.loads.processes.foreign import LocustfileProcesses, UrlProcesses
from drills.loads.processes.service import ServiceProcesses
from drills.redact import Secrets
from infra.platform import Platform

__all__ = ["FleetProcesses", "LoadProcesses", "open_load"]


def open_load(
    platform: Platform, load: Load, pool: str, folder: Path, secrets: Secrets
) -> LoadProcesses:
    """Return the processes of this load, not started. Raises `SetupError` for no such service."""
    target = load.service_of(platform)
    if isinstance(load, ServiceLoad):
        return ServiceProcesses(platform, target, load, folder, secrets, pool=pool)
    if isinstance(load, FleetLoad):
        return FleetProcesses(platform, target, load, folder, secrets)
    if isinstance(load, UrlLoad):
        return UrlProcesses(load, folder, secrets)
    if isinstance(load, LocustfileLoad):
        return LocustfileProcesses(load, folder, secrets)
    raise TypeError(f"no processes for a load of kind {load.key}")
