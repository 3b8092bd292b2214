"""Take the figures of `pulumi up` itself: `python -m tests.bench.services`.

Two stacks side by side, one with a single service and one with 49; in each round both get one more
and lose it again, one right after the other, so that what else the machine does is in both. Prints
JSON: seconds and the processor's seconds of each `up`, medians, and their ratio. Stacks are
destroyed at the end.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from loadtests.logs import set_up
from tests.bench import machine
from tests.integration.live_stack import LiveStack

GOAL = 1.2
MANY = 49


def _timed(action: Callable[[], Any]) -> dict[str, float]:
    """Seconds by the clock, and of the processor in child processes."""
    spent, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    action()
    seconds = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - spent.ru_utime - spent.ru_stime
    return {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2)}


def _have(stack: LiveStack, count: int) -> None:
    """Write a configuration with this many services."""
    file = stack.root / "Pulumi.dev.yaml"
    wanted = yaml.safe_load(file.read_text())
    wanted["config"]["rotation-drills:services"] = [
        {"name": f"service{number}", "ttl": "60s"} for number in range(1, count + 1)
    ]
    file.write_text(yaml.safe_dump(wanted))


def measure(folder: Path, rounds: int, many: int = MANY) -> dict[str, Any]:
    """Return the figures; the stacks live in `folder` while it takes them."""
    few_stack = LiveStack(folder / "few")
    _have(few_stack, 1)
    few_stack.init()
    figures: dict[str, Any] = {"up_from_nothing": _timed(few_stack.up)}
    many_stack = LiveStack(folder / "many")
    _have(many_stack, many)
    many_stack.init()
    figures[f"up_from_nothing_with_{many}"] = _timed(many_stack.up)
    try:
        figures["no_change"] = [_timed(few_stack.up) for _ in range(rounds)]
        pairs = []
        for _ in range(rounds):
            pair = {}
            for name, stack, count in (("second", few_stack, 1), ("last", many_stack, many)):
                _have(stack, count + 1)
                pair[name] = _timed(stack.up)
                _have(stack, count)
                stack.up()
            pairs.append(pair)
            sys.stderr.write(f"{json.dumps(pair)}\n")
        figures["pairs"] = pairs
        for key in ("seconds", "cpu_seconds"):
            ratios = [pair["last"][key] / pair["second"][key] for pair in pairs]
            figures[f"ratio_{key}"] = round(statistics.median(ratios), 2)
    finally:
        figures["destroy"] = _timed(few_stack.destroy)
        figures[f"destroy_with_{many}"] = _timed(many_stack.destroy)
    return figures


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.services", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--many", type=int, default=MANY, help="services of the larger stack")
    options = parser.parse_args()
    set_up()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o755)  # Postgres may run under an account of its own
        figures = measure(Path(folder), options.rounds, options.many)
    print(json.dumps({"machine": machine.describe(), **figures}, indent=2, ensure_ascii=False))  # noqa: T201 - the result
    return 0


if __name__ == "__main__":
    sys.exit(main())
