"""The matrix of `drill prove` through stock Chaos Toolkit, for the comparison in docs/PROVE.md.

    python -m tests.bench.chaos CHAOS [--drill NAME]

CHAOS is the `chaos` command of an environment of its own (`pip install chaostoolkit`). Each cell
has the same service, pool, load and faults as `drill prove`; what differs is the runner, and that
its steady state is looked at before and after (the service answers and writes, Vault is unsealed).
A row each goes to stdout as JSON. Needs a stack that is up (`eval "$(drill env)"`).
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from drills.definition import Drill, catalog
from drills.export.chaostoolkit import experiment
from drills.loads import ServiceLoad
from drills.prove import defects, matrix, rest
from drills.stack import load_platform
from infra.platform import Platform
from loadtests.serviceprocess import ServiceProcess
from loadtests.target import Target
from tools.environment import find_root

_LOCUSTFILE = Path(__file__).parents[2] / "loadtests" / "locustfile.py"


def cell(chaos: str, plan: matrix.Plan, drill: Drill, platform: Platform) -> dict[str, Any]:
    """Run one cell; return its row."""
    load = drill.load
    if not isinstance(load, ServiceLoad):
        raise TypeError(f"{drill.drill}: no demo service under load")
    rest.bring_to_rest(platform)
    started = time.monotonic()
    service = ServiceProcess(
        Target.load(),
        f"--pool={plan.pool}",
        f"--pools={load.pools}",
        f"--pool-size={load.pool_size}",
    )
    with TemporaryDirectory() as root:
        made = experiment(matrix.with_faults(drill, plan.faults), platform, service.address)
        (Path(root) / "experiment.json").write_text(json.dumps(made))
        users = subprocess.Popen(
            [
                *(sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE), "--headless"),
                *("--users", str(load.users), "--spawn-rate", str(load.users)),
                *("--host", service.address, "--stop-timeout", "8", "--only-summary"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            said = subprocess.run(
                [chaos, "run", "experiment.json"],
                cwd=root,
                capture_output=True,
                text=True,
                check=False,
                timeout=400,
            )
        finally:
            users.terminate()
            users.wait(30)
            service.stop()
        journal = Path(root) / "journal.json"
        told = json.loads(journal.read_text()) if journal.exists() else {}
    failed = [
        step["activity"]["name"] for step in told.get("run", []) if step["status"] != "succeeded"
    ]
    return {
        "defect": plan.defect,
        "drill": plan.drill,
        "expected": plan.expected,
        "status": told.get("status", "no journal"),
        "deviated": told.get("deviated"),
        "exit": said.returncode,
        "failed_activities": failed,
        "seconds": round(time.monotonic() - started, 1),
    }


def main() -> None:
    """Run the cells and print a row each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chaos", help="the `chaos` command")
    parser.add_argument("--drill")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # service and users end with it
    platform = load_platform("dev", find_root())
    drills = {drill.drill: drill for drill in catalog()}
    for plan in matrix.plan(defects.load(), drills.values(), drill=options.drill):
        if plan.why_not is None:
            row = cell(str(Path(options.chaos).absolute()), plan, drills[plan.drill], platform)
            sys.stdout.write(json.dumps(row) + "\n")
            sys.stdout.flush()
    rest.bring_to_rest(platform)


if __name__ == "__main__":
    main()
