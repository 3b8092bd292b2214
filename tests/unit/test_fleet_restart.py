"""A fleet that is restarted, and the newcomers beside it, against a made-up Vault."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from test_fleet_vault import Answer, target, vault, well

from drills.bounds import issue_delay_seconds
from drills.errors import FaultError
from drills.faults.fleet_restart import FleetRestart, FleetRestartParams
from loadtests.fleet import Fleet, main
from loadtests.fleetclient import NEWCOMER
from loadtests.requestlog import RequestLog


def test_a_restart_ends_all_and_starts_all_anew() -> None:
    """After a restart every client has logged in twice; the old logins are ended with the rest."""
    with vault(well) as (address, seen):
        fleet = Fleet(target(address), clients=5, policy="lease-aware")

        async def run() -> tuple[float, dict[str, Any]]:
            stop = asyncio.Event()
            running = asyncio.create_task(fleet.run(None, stop))
            await asyncio.wait_for(fleet.book.all_held.wait(), 30)
            at = await fleet.restart()
            await asyncio.wait_for(fleet.book.all_held.wait(), 30)
            stop.set()
            return at, await running

        before = time.monotonic()
        at, counts = asyncio.run(run())
    assert before <= at <= time.monotonic()
    assert counts["logins"] == 10
    assert seen["revoke"] == 11  # and the one that tried


def test_an_idle_fleet_waits_for_its_restart() -> None:
    """Ready at once, nobody logged in; the restart starts them."""
    with vault(well) as (address, _seen):
        fleet = Fleet(target(address), clients=3, policy="vso")

        async def run() -> tuple[int, dict[str, Any]]:
            stop, ready = asyncio.Event(), asyncio.Event()
            running = asyncio.create_task(fleet.run(None, stop, idle=True, ready=ready.set))
            await asyncio.wait_for(ready.wait(), 30)
            early = len(fleet.counts.logins)
            await fleet.restart()
            await asyncio.wait_for(fleet.book.all_held.wait(), 30)
            stop.set()
            return early, await running

        early, counts = asyncio.run(run())
    assert early == 0
    assert counts["logins"] == 3


def test_newcomers_are_logged_and_count_for_nobody(tmp_path: Path) -> None:
    """A newcomer's wait is one line in the log, retries included, and in none of the counts."""

    def answer(operation: str, number: int) -> Answer:
        if operation == "issue" and number == 2:  # the first is the try before the start
            return 503, {"errors": ["sealed"]}
        return well(operation, number)

    log = RequestLog(tmp_path / "requests.jsonl")
    with vault(answer) as (address, seen):
        fleet = Fleet(target(address), clients=1, policy="vso", log=log)

        async def run() -> dict[str, Any]:
            stop, ready = asyncio.Event(), asyncio.Event()
            running = asyncio.create_task(
                fleet.run(None, stop, idle=True, newcomers=True, ready=ready.set)
            )
            await asyncio.wait_for(ready.wait(), 30)
            while seen["revoke"] < 3:  # the try, and two newcomers that went
                await asyncio.sleep(0.01)
            stop.set()
            return await running

        counts = asyncio.run(run())
    log.close()
    rows = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]
    assert {row["op"] for row in rows} == {NEWCOMER} == {issue_delay_seconds.NEWCOMER}
    assert sum(row["ok"] for row in rows) >= 2
    assert counts["logins"] == counts["issues"] == 0


def test_idle_needs_somebody_who_can_start_it(capsys: pytest.CaptureFixture[str]) -> None:
    """--idle without --control is refused: nobody could ever start the clients."""
    with pytest.raises(SystemExit) as caught:
        main(["--idle"])
    assert caught.value.code == 2
    assert "--idle needs --control" in capsys.readouterr().err


class _Scene:
    """What the fault looks at."""

    def __init__(self, fleet: Any) -> None:
        self.fleet = fleet
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def observe(self, probe: str, **fields: Any) -> None:
        self.seen.append((probe, fields))


class _Fleet:
    def restart(self) -> float:
        return 12.5


def test_the_fault_notes_when_it_struck() -> None:
    """The moment at which the old clients had ended is in the samples; there is no undoing it."""
    fault, scene = FleetRestart(FleetRestartParams()), _Scene(_Fleet())
    record = fault.prepare(scene)  # type: ignore[arg-type]
    fault.inject(scene, record)  # type: ignore[arg-type]
    fault.undo(scene, record)  # type: ignore[arg-type]
    assert scene.seen == [("fleet_restart", {"t": 12.5})]
    assert fault.verify(scene, record) == []  # type: ignore[arg-type]


def test_without_a_fleet_there_is_nothing_to_restart() -> None:
    """A load of another kind is refused as the fault is prepared, before anything is touched."""
    with pytest.raises(FaultError, match="the load is no fleet"):
        FleetRestart(FleetRestartParams()).prepare(_Scene(None))  # type: ignore[arg-type]
