"""Every fault: what it breaks is put right from its record alone, by anybody, twice."""

from __future__ import annotations

import contextlib
import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fault_world import PASSWORD, World
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.definition import catalog
from drills.errors import FaultError, SetupError, VaultRefused, VaultUnreachable
from drills.faults import registry
from drills.faults.registry import make, names
from drills.recovery import undo_entries, undo_entry
from drills.undo import Pending, UndoLog
from infra.waiting import WaitedTooLong

#: One way to call each fault. A fault without one fails `test_every_fault_is_tested`.
PARAMS: dict[str, dict[str, Any]] = {
    "audit-block": {},
    "clock-skew": {"role": "orders", "ahead_seconds": 60},
    "exhaust-connections": {"service": "orders"},
    "leader-step-down": {},
    "lease-revoke": {"role": "orders"},
    "node-disconnect": {"node": "standby"},
    "node-kill": {"node": "leader"},
    "node-pause": {"node": "leader"},
    "own-objects": {"role": "orders"},
    "postgres-restart": {"mode": "crash"},
    "quorum-loss": {},
    "quota": {"rate": 1, "interval_seconds": 2},
    "replies-lost": {"latency_ms": 50, "times": 1},
    "revoke-busy": {"role": "orders"},
    "revoke-prefix": {"role": "orders"},
    "revoke-unreachable": {"role": "orders"},
    "role-ttl": {"role": "orders", "ttl_seconds": 10, "max_ttl_seconds": 15},
    "rolling-restart": {},
    "root-rotation": {},
    "seal-all": {},
    "slow-ddl": {"latency_ms": 100},
    "static-rotation": {"service": "orders"},
    "token-revoke": {"service": "orders", "which": "all"},
    "vault-black-hole": {"nodes": "all"},
    "vault-latency": {"nodes": "leader", "latency_ms": 500},
    "vault-reset": {"nodes": "vault-2"},
    "vault-setting": {"path": "database/roles/orders", "values": {"max_ttl": 5}},
}
#: Its world is a fleet, not the platform: tests/unit/test_fleet_restart.py.
ELSEWHERE = {"fleet-restart"}
#: These change nothing that lasts, or nothing that could be taken back.
NOTHING_TO_UNDO = {
    "leader-step-down",
    "lease-revoke",
    "own-objects",
    "postgres-restart",
    "revoke-busy",
    "revoke-prefix",
    "rolling-restart",
    "root-rotation",
    "static-rotation",
    "token-revoke",
}


def test_every_fault_is_tested() -> None:
    """A fault that is registered is one of those below."""
    assert set(names()) == set(PARAMS) | ELSEWHERE


@pytest.mark.parametrize("name", PARAMS)
def test_undo_brings_the_world_back(name: str, tmp_path: Path) -> None:
    """The fault changes something, and undo and verify take it back, in the same process."""
    world = World(tmp_path)
    fault = make(name, PARAMS[name])
    with world.doors():
        scene = world.scene()
        before = world.disturbance()
        record = fault.prepare(scene)
        assert world.disturbance() == before  # prepare touches nothing
        fault.inject(scene, record)
        assert (world.disturbance() == before) == (name in NOTHING_TO_UNDO)
        fault.undo(scene, record)
        assert fault.verify(scene, record) == []
    assert world.disturbance() == before


@pytest.mark.parametrize("name", PARAMS)
def test_record_is_enough_for_another_process(name: str, tmp_path: Path) -> None:
    """After a crash another process undoes from JSON alone, and may do so twice."""
    world = World(tmp_path)
    with world.doors():
        scene, before = world.scene(), world.disturbance()
        fault = make(name, PARAMS[name])
        record = json.loads(json.dumps(fault.prepare(scene)))
        fault.inject(scene, record)
        _end_threads(fault)
        world.crash()
        for _ in range(2):
            assert undo_entry(Pending("run", name, PARAMS[name], record), world.scene()) == []
    assert world.disturbance() == before


@pytest.mark.parametrize("name", PARAMS)
def test_undo_of_what_was_never_injected(name: str, tmp_path: Path) -> None:
    """A runner that dies between record and injection leaves an entry whose undo is harmless."""
    world = World(tmp_path)
    with world.doors():
        before = world.disturbance()
        record = make(name, PARAMS[name]).prepare(world.scene())
        assert undo_entry(Pending("run", name, PARAMS[name], record), world.scene()) == []
    assert world.disturbance() == before


@pytest.mark.parametrize("name", PARAMS)
def test_record_and_advice_hold_no_secret(name: str, tmp_path: Path) -> None:
    """Neither the record nor what is said about it holds a password, a token or a lease id."""
    world = World(tmp_path)
    with world.doors():
        scene = world.scene()
        fault = make(name, PARAMS[name])
        record = fault.prepare(scene)
        fault.inject(scene, record)
        said = json.dumps(record) + fault.by_hand(record)
        fault.undo(scene, record)
    for secret in (PASSWORD, "hvs.", "unseal-key", "secret-id", *world.leases, "/lease-"):
        assert secret not in said
    assert fault.by_hand(record).startswith(f"{name}:")


@settings(max_examples=400, deadline=None)
@given(
    chosen=st.lists(st.sampled_from(sorted(PARAMS)), min_size=1, max_size=4, unique=True),
    instant=st.integers(0, 8),
)
def test_recover_after_a_crash_at_any_instant(
    chosen: list[str], instant: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever was injected, and wherever the runner died, undoing the log leaves nothing."""
    folder = tmp_path_factory.mktemp("world")
    world, log = World(folder), UndoLog(folder / "drills")
    before, step = world.disturbance(), 0
    with world.doors():
        scene = world.scene()
        for name in chosen:
            fault = make(name, PARAMS[name])
            try:
                record = fault.prepare(scene)
            except (FaultError, VaultUnreachable):  # nothing to inject into, after what came before
                continue
            log.add(Pending("run", name, PARAMS[name], record))
            step += 1
            if step > instant:
                break
            # one fault may keep another from being injected: it is undone all the same
            with contextlib.suppress(
                FaultError, VaultRefused, VaultUnreachable, WaitedTooLong, psycopg.Error
            ):
                fault.inject(scene, record)
            _end_threads(fault)
            step += 1
            if step > instant:
                break
        world.crash()
        world.samples.clear()
        undo_entries(log, log.pending(), world.scene())
        left = log.pending()
    assert left == []
    assert world.disturbance() == before


def _end_threads(fault: Any) -> None:
    """Threads end with their process; a test's process lives on."""
    crowd = getattr(fault, "_crowd", None)
    if crowd is not None:
        crowd._over.set()
        crowd._thread.join()


def test_disturbed_proxy_is_refused(tmp_path: Path) -> None:
    """A toxic that somebody else has put there is neither built upon nor taken away."""
    world = World(tmp_path)
    world.proxies["vault-2"]["toxics"]["theirs"] = {"type": "latency", "latency": 5}
    with world.doors(), pytest.raises(FaultError, match="vault-2 is disturbed already"):
        make("vault-black-hole", {}).prepare(world.scene())


def test_toxic_that_misses_open_connections_fails(tmp_path: Path) -> None:
    """An injection that does not hit a connection that was open is an error, not a fault."""
    world = World(tmp_path)
    fault = make("vault-black-hole", {"nodes": "vault-1"})
    with world.doors():
        record = fault.prepare(world.scene())
        fault.kind = "bandwidth"  # type: ignore[misc]
        fault.attributes = lambda: {"latency": 0}  # type: ignore[attr-defined]
        with pytest.raises(FaultError, match="did not hit connections that were open"):
            fault.inject(world.scene(), record)


def test_rolling_restart_ends_early_and_whole(tmp_path: Path) -> None:
    """Asked to stop, a long injection goes no further, and leaves every node up."""
    world = World(tmp_path)
    fault = make("rolling-restart", {})
    with world.doors():
        scene = world.scene()
        record = fault.prepare(scene)
        scene.stopping.set()
        fault.inject(scene, record)
    assert set(world.nodes.values()) == {"unsealed"}


def test_unknown_fault_and_parameter_are_one_line() -> None:
    """A fault that is not there, and a parameter that it does not have, are named."""
    with pytest.raises(SetupError, match="there is no fault 'nope'"):
        make("nope", {})
    with pytest.raises(SetupError, match=r"x\.yaml: faults\.quota\.rate"):
        make("quota", {"rate": 0}, where="x.yaml: ")


def test_a_package_that_is_broken_ends_its_own_fault_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault whose package can't be imported is one line, and no other fault minds."""
    points = registry._points()
    broken = EntryPoint("theirs", "no_such_package_of_theirs:Fault", registry.GROUP)
    monkeypatch.setattr(registry, "_points", lambda: {**points, "theirs": broken})
    assert "theirs" in names()
    assert make("seal-all", {}).name == "seal-all"
    with pytest.raises(SetupError, match="fault theirs: no_such_package_of_theirs:Fault can't be"):
        make("theirs", {})


@pytest.mark.parametrize("drill", catalog(), ids=lambda drill: drill.drill)
def test_catalog_fits_its_faults(drill: Any) -> None:
    """Every drill of the catalog has faults that take its parameters, and says where it
    happened."""
    for name, params in drill.faults:
        make(name, params, where=drill.drill)
    text = (Path(__file__).parents[2] / "drills" / "catalog" / f"{drill.drill}.yaml").read_text()
    assert "Where it happened" in text.split("drill:")[0]
