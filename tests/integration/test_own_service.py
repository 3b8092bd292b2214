"""A service that the drill knows by its URL alone: the demo service, started by somebody else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_stack import CHECKOUT, LiveStack

from drills.loads.processes.base import target

pytestmark = pytest.mark.slow

SHOP = """
drill: shop
title: Every lease of the shop is revoked
catches: nothing; a drill to test the harness with
load:
  url: URL
  service: orders
  users: 4
  requests: ["GET /orders?limit=10", "POST /orders"]
  body: {item: tea, quantity: 1}
phases: {warmup: 2s, baseline: 4s, fault: 2s, recovery: 8s}
faults:
  - revoke-prefix: {role: orders}
bounds:
  - issues_per_client:   {at_most: 2}
  - old_login_accepted:  {at_most: 0}
  - failed_ratio:        {phase: recovery, at_most: 0.5, min_samples: 5}
  - issue_delay_seconds: {phase: all, at_most: 60}
"""


@pytest.fixture
def address(stack: LiveStack) -> Iterator[str]:
    """The demo service with two pools, as whoever has a service would run it."""
    platform = stack.platform()
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        pipe.write(json.dumps(target(platform, platform.service("orders"))))
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtests.service", "--pools", "2", "--pool-size", "4"],
        cwd=CHECKOUT,
        env={**os.environ, "LOADTESTS_TARGET": f"fd:{reading}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=(reading,),
    )
    os.close(reading)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def test_a_foreign_service_is_drilled_by_its_url(
    stack: LiveStack, address: str, tmp_path: Path
) -> None:
    """New leases of pools that the drill did not start are counted in the audit log; what only a
    fleet tells is inconclusive, with the reason; the service lives on."""
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP.replace("URL", address))
    done = stack.drill("run", str(file), "--json")
    told = {each["name"]: each for each in json.loads(done.stdout)["bounds"]}
    assert told["issues_per_client"]["verdict"] == "pass", done.stdout + done.stderr
    # its two pools, and whoever else had a lease of the role in the last minutes
    before = re.search(r"(\d+) clients before the fault", told["issues_per_client"]["detail"])
    assert before is not None
    assert int(before[1]) >= 2
    assert told["issues_per_client"]["observed"] >= 1
    assert told["old_login_accepted"]["verdict"] == "pass"
    assert told["issue_delay_seconds"]["verdict"] == "inconclusive"
    assert "only a fleet sends them" in told["issue_delay_seconds"]["detail"]
    assert done.returncode == 3
    again = stack.drill("run", "forced-expiry", "--target", f"{address}/nothing-there")
    assert again.returncode == 2  # it still answers: 404 before anything is broken
    assert "is answered with 404" in again.stderr


def test_a_url_that_nobody_serves(stack: LiveStack) -> None:
    """Refused in a line before anything is touched, exit 2."""
    done = stack.drill("run", "forced-expiry", "--target", "http://127.0.0.1:9/")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "does not answer" in done.stderr
