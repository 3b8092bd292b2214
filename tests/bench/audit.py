"""Time `drill audit` on a log of a million lines: `python -m tests.bench.audit`.

Lines have the shape and size of Vault 1.21's own (1.6 KB on average, a request and a response
each); services, paths and addresses vary. One process on one core; the figure is the wall time of
the command, its start included.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_SERVICES = [f"service-{index}" for index in range(50)]
_BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
_POLICY = """path "database/creds/{name}" {{ capabilities = ["read"] }}
path "secret/data/prod/{name}/*" {{ capabilities = ["read", "list"] }}
path "sys/leases/revoke" {{ capabilities = ["update"] }}
"""


def _hmac(text: str) -> str:
    return f"hmac-sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _pair(index: int, dice: random.Random) -> Iterator[dict[str, Any]]:
    """Yield the two lines of one request."""
    service = dice.choice(_SERVICES)
    kind = dice.random()
    path, operation = f"secret/data/prod/{service}/key-{dice.randrange(20)}", "read"
    if kind < 0.5:
        path, operation = "sys/leases/renew", "update"
    elif kind < 0.6:
        path = f"database/creds/{service}"
    moment = (_BEGIN + timedelta(seconds=index)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    token = f"{service}-{index % 7}"
    auth = {
        "accessor": _hmac(f"a{token}"),
        "client_token": _hmac(token),
        "display_name": "approle",
        "entity_id": f"c2ee3e5e-185d-e8c3-a513-{_SERVICES.index(service):012d}",
        "metadata": {"role_name": service, "service": service},
        "policies": ["default", service],
        "policy_results": {
            "allowed": True,
            "granting_policies": [
                {"type": ""},
                {"name": service, "namespace_id": "root", "type": "acl"},
            ],
        },
        "token_policies": ["default", service],
        "token_issue_time": "2026-11-01T00:00:00Z",
        "token_ttl": 600,
        "token_type": "service",
    }
    request = {
        "client_id": auth["entity_id"],
        "client_token": _hmac(token),
        "client_token_accessor": _hmac(f"a{token}"),
        "data": {"lease_id": _hmac(str(index)), "increment": 60},
        "headers": {"user-agent": ["python-requests/2.34.2"]},
        "id": f"{index:08x}-b9ac-3592-b589-94db01d06ad2",
        "mount_accessor": "database_985221fa",
        "mount_class": "secret",
        "mount_point": "database/",
        "mount_running_version": "v1.21.0+builtin.vault",
        "mount_type": "database",
        "namespace": {"id": "root"},
        "operation": operation,
        "path": path,
        "remote_address": f"10.0.{dice.randrange(4)}.{dice.randrange(250)}",
        "remote_port": 34810,
    }
    yield {"auth": auth, "request": request, "time": moment, "type": "request"}
    response: dict[str, Any] = {
        "data": {"username": _hmac(f"u{index}"), "password": _hmac(f"p{index}")},
        "mount_accessor": "database_985221fa",
        "mount_class": "secret",
        "mount_point": "database/",
        "mount_running_plugin_version": "v1.21.0+builtin.vault",
        "mount_type": "database",
    }
    if path.startswith("database/"):
        response["secret"] = {"lease_id": f"{path}/{index:024d}"}
    yield {
        "auth": auth,
        "request": request,
        "response": response,
        "time": moment,
        "type": "response",
    }


def generate(folder: Path, lines: int) -> int:
    """Write a log of so many lines, its older half compressed and rotated; return its bytes."""
    dice = random.Random(6)  # noqa: S311 - no secret
    size = 0
    half = lines // 4
    with (
        gzip.open(folder / "audit.log.1.gz", "wb", compresslevel=1) as rotated,
        (folder / "audit.log").open("wb") as current,
    ):
        for index in range(lines // 2):
            file = rotated if index < half else current
            for line in _pair(index, dice):
                size += file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
    policies = folder / "policies"
    policies.mkdir()
    for name in _SERVICES:
        (policies / f"{name}.hcl").write_text(_POLICY.format(name=name))
    return size


def main() -> int:
    """Generate, time each question, print a row each as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.audit", description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-audit-") as name:
        folder = Path(name)
        size = generate(folder, options.lines)
        sys.stderr.write(f"{options.lines} lines, {size / 1e6:.0f} MB, half of them in a .gz\n")
        log = ["--log", f"{folder}/audit.log*", "--json"]
        questions = {
            "who": ["who", "database/creds/service-7", *log],
            "who, a pattern": ["who", "secret/data/prod/service-7/*", *log],
            "reads": ["reads", "service-7", *log],
            "drift": ["drift", "--policies", str(folder / "policies"), *log],
        }
        for question, arguments in questions.items():
            begin, before = time.perf_counter(), os.times()
            done = subprocess.run(
                [sys.executable, "-m", "drills", "audit", *arguments],
                check=True,
                stdout=subprocess.PIPE,
            )
            after = os.times()
            told = json.loads(done.stdout)
            row = {
                "question": question,
                "lines": told["read"]["lines"],
                "rows": len(told["rows"]) + told["left_out"],
                "wall_seconds": round(time.perf_counter() - begin, 2),
                "cpu_seconds": round(
                    after.children_user
                    + after.children_system
                    - before.children_user
                    - before.children_system,
                    2,
                ),
            }
            sys.stdout.write(json.dumps(row) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
