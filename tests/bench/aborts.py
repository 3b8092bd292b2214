"""How long it takes from a safeguard's breach until the fault is cleared, on a real stack.

Each drill has a fault that stands (every answer of Vault comes late) and a client that fails from
the fault on (fixed credentials, all leases revoked), and is guarded by `failed_ratio`. The moment
of the breach is not the harness's own word: it is worked out here from the request log, as the
end of the first window of the safeguard's length all through which the ratio was over its limit.
Cleared is the event by which the standing fault's undoing has been verified.

    python -m tests.bench.aborts --count 20 [--stack dev]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

from drills.safeguards import _MIN_REQUESTS
from tests.bench.short_drill import Process, write_drill

OVER, FOR_SECONDS, WINDOW_SECONDS = 0.2, 0.5, 2.0
FAULTS: list[dict[str, Any]] = [
    {"revoke-prefix": {"role": "orders"}},
    {"vault-latency": {"nodes": "all", "latency_ms": 100}},
]
MORE = {
    "load": {"service": "orders", "users": 20, "pools": 2, "pool_size": 10},
    "phases": {"warmup": "1s", "baseline": "3s", "fault": "30s", "recovery": "1s"},
    "safeguards": [{"failed_ratio": {"over": OVER, "for": f"{FOR_SECONDS * 1000:g}ms"}}],
}


def breach_in(rows: list[dict[str, Any]], since: float) -> float | None:
    """Return when (monotonic seconds) the ratio had been over for the whole window, None if never.

    `rows` are lines of a request log; requests that ended before `since` do not count.
    """
    ended = sorted((row["t"] + row["s"], not row["ok"]) for row in rows)
    recent: deque[tuple[float, bool]] = deque()
    over_since: float | None = None
    for end, failed in ended:
        if end < since:
            continue
        recent.append((end, failed))
        while recent[0][0] < end - WINDOW_SECONDS:
            recent.popleft()
        ratio = sum(bad for _end, bad in recent) / len(recent)
        if len(recent) < _MIN_REQUESTS or ratio <= OVER:
            over_since = None
        elif over_since is None:
            over_since = end
        if over_since is not None and end - over_since >= FOR_SECONDS:
            return over_since + FOR_SECONDS
    return None


def measure(folder: Path, stack: str) -> dict[str, float]:
    """Run one drill to its abort; return seconds from the breach to decision and to cleared."""
    process = Process(write_drill(folder, FAULTS, **MORE), stack, "--pool", "static")
    status = process.process.wait(timeout=300)
    path = process.folder()
    if status != 4 or path is None:
        raise SystemExit(f"the drill ended with {status}, not with 4: {process.words()}")
    events = process.events()
    [baseline] = [
        e["t"] for e in events if e.get("phase") == "baseline" and "started" in e["event"]
    ]
    [decided] = [e["t"] for e in events if e["event"] == "safeguard-triggered"]
    cleared = [e for e in events if e["event"] == "fault-undone" and e["fault"] == "vault-latency"]
    lines = (path / "requests.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    breach = breach_in(rows, baseline)
    if breach is None or not cleared[-1]["verified"]:
        raise SystemExit("the request log holds no breach, or the fault was not cleared")
    return {
        "decided": round(decided - breach, 3),
        "cleared": round(cleared[-1]["t"] - breach, 3),
    }


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.aborts", description=__doc__)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--stack", default="dev")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.count):
            rows.append(measure(Path(folder), options.stack))
            sys.stdout.write(json.dumps(rows[-1]) + "\n")
            sys.stdout.flush()
    told: dict[str, Any] = {"aborts": len(rows)}
    for name in ("decided", "cleared"):
        took = sorted(row[name] for row in rows)
        rank = max(0, -(-99 * len(took) // 100) - 1)  # nearest rank
        told[f"breach to {name}, s"] = {"median": took[len(took) // 2], "p99": took[rank]}
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
