"""Take the figures of docs/BENCHMARKS.md on a real Vault and a real Postgres: `make bench`.

Writes bench/results.json and the tables; with `--only NAME` prints that figure and writes nothing,
since figures of one table come from one run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from loadtests.logs import set_up
from tests.bench import cost, expiry, machine, outage, revocation, storms, table, throughput
from tests.integration.pool_servers import Servers, running

FIGURES: Mapping[str, Callable[[Servers], dict[str, Any]]] = MappingProxyType(
    {
        "revocation": revocation.measure,
        "expiry": expiry.measure,
        "throughput": throughput.measure,
        "storms": storms.measure,
        "outage": outage.measure,
        "cost": cost.measure,
    }
)
_ROOT = Path(__file__).parents[2]
_RESULTS, _DOCUMENT = _ROOT / "bench" / "results.json", _ROOT / "docs" / "BENCHMARKS.md"


def main() -> int:
    """Measure, and write or print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", choices=tuple(FIGURES), help="print one figure, write nothing")
    options = parser.parse_args()
    set_up()
    results: dict[str, Any] = {
        "taken": datetime.now(UTC).date().isoformat(),
        "machine": machine.describe(),
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o755)  # Postgres may run under an account of its own
        with running(Path(folder)) as servers:
            for name, measure in FIGURES.items():
                if options.only in {None, name}:
                    sys.stderr.write(f"bench: {name}\n")
                    results[name] = measure(servers)
    text = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
    if options.only:
        sys.stdout.write(text)
        return 0
    _RESULTS.parent.mkdir(exist_ok=True)
    _RESULTS.write_text(text, encoding="utf-8")
    document = _DOCUMENT.read_text(encoding="utf-8")
    _DOCUMENT.write_text(table.put_into(document, results), encoding="utf-8")
    sys.stderr.write("bench: wrote bench/results.json and docs/BENCHMARKS.md\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
