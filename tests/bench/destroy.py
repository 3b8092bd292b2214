"""Time `pulumi destroy` of a stack with a thousand live leases: `python -m tests.bench.destroy`.

Says on one JSON line how long it took and what was left; ends with 1 when that is anything but
nothing: a process, a port that is still listened on, a file of Postgres's or of Vault's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from drills.database import Database
from drills.vault import Vault
from infra.cluster.process import taken_ports
from infra.waiting import WaitedTooLong, wait_for
from tests.integration.live_stack import PORTS, LiveStack


def _lease(live: LiveStack, leases: int) -> dict[str, float]:
    """Take so many leases, half of them of each role; the roles in Postgres are counted."""
    platform = live.platform()
    vault, database = Vault(platform), Database(platform)
    begin = time.perf_counter()
    paths = ["database/creds/orders", "database/creds/orders-ro"] * (leases // 2)
    with ThreadPoolExecutor(8, thread_name_prefix="lease") as pool:
        list(pool.map(lambda path: vault.call("GET", path, seconds=60), paths))
    seconds = time.perf_counter() - begin
    roles = len(database.dynamic_roles())
    database.close()
    vault.close()
    if roles != len(paths):
        raise RuntimeError(f"{roles} roles in Postgres after {len(paths)} leases")
    return {"leases": roles, "issue_seconds": round(seconds, 1)}


def _left(live: LiveStack) -> list[str]:
    with suppress(WaitedTooLong):
        wait_for(lambda: not live.processes(), "the last process going", seconds=10)
    ports = range(live.base_port, live.base_port + PORTS)
    folder = live.root / ".state" / "stacks" / "dev"
    return [
        *(f"process {process.name()}" for process in live.processes()),
        *(f"port {port}" for port in taken_ports(list(ports))),
        *(
            str(path)
            for path in folder.rglob("*")
            if path.is_file() and path.parent.name != "drills"
        ),
    ]


def main() -> int:
    """Bring a stack up, lease, destroy, look."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.destroy", description=__doc__)
    parser.add_argument("--leases", type=int, default=1000)
    parser.add_argument("--base-port", type=int, help="of a free range of 50; default: found")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-destroy-") as name:
        Path(name).chmod(0o755)  # Postgres may run under an account of its own
        live = LiveStack(Path(name) / "stack")
        if options.base_port:
            live.base_port = options.base_port
            live.configure(allowed=True)
        file = live.root / "Pulumi.dev.yaml"
        # none may end by itself while the others are taken
        file.write_text(file.read_text().replace("60s", "1h").replace("5m", "2h"))
        try:
            live.create()
            row: dict[str, object] = dict(_lease(live, options.leases))
            begin = time.perf_counter()
            done = live.pulumi("destroy", "--yes", "--skip-preview", check=False)
            row["destroy_seconds"] = round(time.perf_counter() - begin, 1)
            row["exit"] = done.returncode
            row["left"] = _left(live)
        finally:
            live.destroy()
        sys.stdout.write(json.dumps(row) + "\n")
        if done.returncode:
            sys.stderr.write(done.stdout[-3000:] + done.stderr[-1000:])
    return int(bool(row["exit"] or row["left"]))


if __name__ == "__main__":
    sys.exit(main())
