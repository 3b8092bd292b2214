"""Figure 6: what a checkout costs the CPU, and a pool the memory, for each pool.

`python -m tests.bench.cost KIND` is what the bench starts for each: a fresh process, so that one
pool's memory is not another's. The target comes as for every load process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import psutil

from loadtests.logs import set_up
from loadtests.pools import POOLS, open_pool
from loadtests.target import VARIABLE, Target
from tests.integration.pool_servers import Servers

CHECKOUTS, ROUNDS = 4000, 5
POOLS_OPENED, SIZE = 8, 5


def measure(servers: Servers) -> dict[str, Any]:
    """Return microseconds of CPU a checkout, and KiB of resident memory a pool, for each kind."""
    target = servers.target(servers.role("steady", ttl=3600, max_ttl=7200))
    found = {kind: _in_a_process(kind, target) for kind in POOLS}
    servers.revoke_all("steady")
    return {
        "checkouts": CHECKOUTS * ROUNDS,
        "pool_size": SIZE,
        "pools_opened": POOLS_OPENED,
        "pools": found,
    }


def _in_a_process(kind: str, target: Target) -> dict[str, float]:
    reading, writing = os.pipe()
    os.write(writing, target.reveal().encode())
    os.close(writing)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.cost", kind],
            stdout=subprocess.PIPE,
            pass_fds=(reading,),
            env={**os.environ, VARIABLE: f"fd:{reading}"},
            timeout=120,
            check=True,
        )
    finally:
        os.close(reading)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _measured(kind: str, target: Target) -> dict[str, float]:
    first = open_pool(kind, target, size=SIZE)  # what every pool of the process shares
    resident = psutil.Process().memory_info().rss
    more = [open_pool(kind, target, size=SIZE, name=f"{kind}-{n}") for n in range(POOLS_OPENED)]
    grown = psutil.Process().memory_info().rss - resident
    for one in more:
        one.close()
    costs = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(CHECKOUTS):
            with first.connection():
                pass
        costs.append((time.process_time() - start) / CHECKOUTS)
    first.close()
    return {
        "cpu_microseconds_a_checkout": round(min(costs) * 1e6, 2),
        "resident_kib_a_pool": round(grown / POOLS_OPENED / 1024),
    }


if __name__ == "__main__":
    set_up()  # stdout is for the result
    sys.stdout.write(json.dumps(_measured(sys.argv[1], Target.load())) + "\n")
