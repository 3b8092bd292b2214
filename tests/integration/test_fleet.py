"""A fleet on a real Vault: its counts against Vault's own state, and against the simulator."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from drills.storm import simulate
from loadtests.fleet import Fleet
from tests.integration.pool_servers import Servers, running, until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One Vault and one Postgres for the whole module."""
    with running(tmp_path_factory.mktemp("servers")) as both:
        yield both


def _command(servers: Servers, role: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    reading, writing = os.pipe()
    os.write(writing, servers.target(role).reveal().encode())
    os.close(writing)
    try:
        return subprocess.run(
            [sys.executable, "-m", "loadtests.fleet", *arguments],
            capture_output=True,
            text=True,
            pass_fds=(reading,),
            env={**os.environ, "LOADTESTS_TARGET": f"fd:{reading}"},
            timeout=60,
            check=False,
        )
    finally:
        os.close(reading)


def test_a_fleet_keeps_every_lease_and_gives_it_back(servers: Servers) -> None:
    """Over several renewals and a max_ttl no lease is lost, and none is left at the end."""
    role = servers.role("fleet", ttl=4, max_ttl=8)
    done = _command(servers, role, "--clients", "20", "--policy", "lease-aware", "--seconds", "12")
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["lost_leases"] == 0
    assert counts["failures"] == {}
    assert counts["rotations"] >= 20
    assert counts["issues"] == 20 + counts["rotations"] + counts["unfinished"].get("issue", 0)
    assert counts["renewals"] >= 40
    until("every role is gone", lambda: not servers.dynamic_roles(), seconds=20)


def test_a_role_that_does_not_exist_ends_it_with_a_line(servers: Servers) -> None:
    """Bad input is exit 2 and one line, not a thousand failures."""
    done = _command(servers, "nobody", "--clients", "5", "--seconds", "30")
    assert done.returncode == 2
    assert done.stderr.startswith("loadtests.fleet: issue: Vault answered 400")
    assert done.stdout == ""


def test_the_simulator_says_what_a_real_fleet_does(servers: Servers) -> None:
    """60 clients under LifetimeWatcher, ttl 10 s: the second wave has as many renewals as the
    simulator's within a third, with the first leases as slow as this Vault makes them. The peaks
    are not compared: the first leases come in bursts, which the simulator does not know. Where
    Vault answers so late that leases are lost, it says nothing about the policy."""
    role = servers.role("storm", ttl=10, max_ttl=600)
    fleet = Fleet(servers.target(role), clients=60, policy="lifetime-watcher")

    async def live() -> dict[str, object]:
        return await fleet.run(16.0, asyncio.Event())

    counts = asyncio.run(live())
    begun = min(fleet.counts.issues[1:])
    took = max(fleet.counts.issues) - begun
    if counts["lost_leases"] or took > 4:
        pytest.skip(f"machine too busy: 60 leases took {took:.1f} s, {counts['lost_leases']} lost")
    assert counts["failures"] == {}
    storm = simulate(
        "lifetime-watcher", clients=60, ttl=10, seconds=16, issues_per_second=59 / took
    )
    second_wave = [at for at in fleet.counts.renewals if at - begun > took + 3]
    simulated = [at for at in storm.renewals if at > took + 3]
    assert len(second_wave) == pytest.approx(len(simulated), rel=0.34)
    with suppress(Exception):
        servers.revoke_all(role)
