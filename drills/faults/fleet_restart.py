"""Fault `fleet-restart`: every client of the fleet dies and starts again, all in one instant."""

from __future__ import annotations

from drills.errors import FaultError
from drills.faults.base import Fault, FaultParams, Record, Scene


class FleetRestartParams(FaultParams):
    """None."""


class FleetRestart(Fault[FleetRestartParams]):
    """Ends every client as a crash does (no lease is given back), and starts all of them at once.
    Of an idle fleet, which has not started, it is the synchronised start.

    There is nothing to undo: the clients run, and what the old ones left ends by itself.
    """

    name = "fleet-restart"
    params_model = FleetRestartParams

    def prepare(self, scene: Scene) -> Record:
        """See that there is a fleet."""
        if scene.fleet is None:
            raise FaultError("fleet-restart: the load is no fleet: give the drill {fleet: N}")
        return {}

    def inject(self, scene: Scene, record: Record) -> None:
        """Restart it, and note when."""
        assert scene.fleet is not None  # noqa: S101 - `prepare` has looked
        scene.observe("fleet_restart", t=scene.fleet.restart())

    def undo(self, scene: Scene, record: Record) -> None:
        """Nothing: the clients run."""

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """There is nothing to verify."""
        return []
