"""What a drill is refused for, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fault_world import World

from drills import preflight
from drills.errors import SetupError


def scene_of(world: World, *, irrevocable: int = 0) -> Any:
    """A scene whose Vault also has telemetry, and counts its voters."""
    scene = world.scene()
    call = scene.vault.call

    def answer(method: str, path: str, **more: Any) -> dict[str, Any]:
        if path == "sys/metrics":
            gauge = {"Name": preflight.IRREVOCABLE, "Value": irrevocable}
            return {"Gauges": [{"Name": "vault.core.active", "Value": 1}, gauge]}
        told = call(method, path, **more)
        healthy = all(server["healthy"] for server in told["data"]["servers"].values())
        return {"data": {"voters": list(told["data"]["servers"]), "healthy": healthy}}

    scene.vault.call = answer  # type: ignore[method-assign]
    return scene


def test_whole_cluster_is_let_in(tmp_path: Path) -> None:
    """Three unsealed, healthy voters and no irrevocable lease: nothing to refuse."""
    preflight.check_healthy(scene_of(World(tmp_path)))


@pytest.mark.parametrize(("state", "words"), [("dead", "does not answer"), ("sealed", "is sealed")])
def test_node_that_is_down_is_named(tmp_path: Path, state: str, words: str) -> None:
    """A node that is down or sealed is named, with what brings it back."""
    world = World(tmp_path)
    world.nodes["vault-2"] = state
    with pytest.raises(SetupError, match=f"vault-2 {words}: run `pulumi up"):
        preflight.check_healthy(scene_of(world))


def test_irrevocable_leases_are_refused(tmp_path: Path) -> None:
    """Leases that Vault has given up are refused: a drill's own could not be told from them."""
    with pytest.raises(SetupError, match="given up to revoke 2 leases"):
        preflight.check_healthy(scene_of(World(tmp_path), irrevocable=2))
