"""Kill the runner, its watchdog, or both, at random instants of random drills, on a real stack.

Each time one combination of faults of the catalogue is injected by a short drill of its own, and
SIGKILL comes at an instant drawn anew: now and then while the drill still starts, mostly from the
first injection on, through the fault and its undoing. Then:

- after the runner alone was killed, its watchdog must have put everything back by itself;
- after the watchdog alone was killed, the runner must have;
- after both were killed, `drill recover` must.

"Everything" is `short_drill.state_of`, compared with what it was before, and no process left that
the runner had started. Prints a line of JSON a kill, then a summary; exit status 1 when anything
was ever left.

    python -m tests.bench.kills --count 100 --seed 1 [--stack dev]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from drills.definition import catalog
from drills.loads import ServiceLoad
from drills.stack import load_platform
from drills.undo import UndoLog
from infra.platform import Platform
from infra.waiting import WaitedTooLong, wait_for
from tests.bench.short_drill import Process, looking_at, state_of, watchdog_in, write_drill
from tools.environment import find_root

Victim = Literal["runner", "watchdog", "both"]
VICTIMS: tuple[Victim, ...] = ("runner", "watchdog", "both")
#: How long (seconds) undoing may take. Vault tries a revocation again when it will: up to 75 s.
_UNDONE_SECONDS = 240.0


@dataclass
class Kill:
    """One kill and what came of it. `left` holds a line for each thing that was not put back."""

    victim: Victim
    drill: str
    at: str
    standing: int
    seconds: float
    left: list[str]


def combinations() -> dict[str, list[dict[str, Any]]]:
    """Return the faults of each drill of the catalogue whose load is the demo service."""
    return {
        drill.drill: [{name: params} if params else name for name, params in drill.faults]  # type: ignore[misc]
        for drill in catalog()
        if isinstance(drill.load, ServiceLoad)
    }


class Trial:
    """Kills on one stack."""

    def __init__(self, platform: Platform, folder: Path, chance: random.Random) -> None:
        self._platform = platform
        self._folder = folder
        self._chance = chance
        self._log = UndoLog(platform.drills.state_dir)
        with looking_at(platform) as ways:
            self._whole = state_of(platform, *ways)
        if "can't be looked at" in self._whole or self._whole["undo log"]:
            raise SystemExit(f"the stack is not whole before the first kill: {self._whole}")

    def kill_one(self, victim: Victim) -> Kill:
        """Run a drill, kill, wait for the undoing, and look at what is left."""
        drill, faults = self._chance.choice(sorted(combinations().items()))
        process = Process(write_drill(self._folder, faults), self._platform.stack)
        at = self._wait_for_instant(process)
        children = process.children()
        standing = len(self._log.pending())
        watchdog = watchdog_in(children)
        if victim in {"watchdog", "both"} and watchdog is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                watchdog.kill()
        if victim in {"runner", "both"}:
            process.process.kill()
        killed = time.monotonic()
        left = self._undone(victim, process, watchdog)
        seconds = time.monotonic() - killed
        left += self._still_running(children) + self._differences()
        return Kill(victim, drill, at, standing, round(seconds, 2), left)

    def _wait_for_instant(self, process: Process) -> str:
        """Wait until the instant that is drawn; return it in words."""
        if self._chance.random() < 0.15:
            pause = self._chance.uniform(0, 15)
            self._pause(process, pause)
            return f"{pause:.2f} s after the start"
        with contextlib.suppress(WaitedTooLong):
            wait_for(
                lambda: any(event["event"] == "fault-injecting" for event in process.events()),
                "the first injection",
                seconds=150,
                every=0.02,
                still_possible=lambda: None if process.process.poll() is None else "it has ended",
            )
        pause = self._chance.uniform(0, 8)
        self._pause(process, pause)
        return f"{pause:.2f} s after the first injection"

    def _pause(self, process: Process, seconds: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):  # ends sooner with the drill
            process.process.wait(timeout=seconds)

    def _undone(
        self, victim: Victim, process: Process, watchdog: psutil.Process | None
    ) -> list[str]:
        """Wait for whoever has to undo, run `drill recover` where nobody is left to."""
        try:
            process.process.wait(timeout=_UNDONE_SECONDS)
            if victim == "runner" and watchdog is not None:
                watchdog.wait(timeout=_UNDONE_SECONDS)
            if victim == "both":
                done = subprocess.run(
                    [sys.executable, "-m", "drills", "recover", "--stack", self._platform.stack],
                    capture_output=True,
                    text=True,
                    timeout=_UNDONE_SECONDS,
                    check=False,
                )
                if done.returncode:
                    return [f"recover ended with {done.returncode}: {done.stderr.strip()}"]
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired) as error:
            return [f"undoing took longer than {_UNDONE_SECONDS:g} s ({type(error).__name__})"]
        return []

    def _still_running(self, children: list[psutil.Process]) -> list[str]:
        _gone, alive = psutil.wait_procs(children, timeout=30)
        found = []
        for each in alive:
            with contextlib.suppress(psutil.Error):
                found.append(f"process {each.pid} still runs: {' '.join(each.cmdline())[:80]}")
        return found

    def _differences(self) -> list[str]:
        """Return what is not as it was before the first kill, after 30 s at most: a cluster that
        was whole to the undoing may still be electing when it is looked at."""
        last: dict[str, Any] = {}

        def same() -> bool:
            nonlocal last
            last = state_of(self._platform, *ways)
            return last == self._whole

        with looking_at(self._platform) as ways, contextlib.suppress(WaitedTooLong):
            wait_for(same, "the stack as it was", seconds=30, every=0.5)
            return []
        return [
            f"{key}: {last.get(key)!r}, was {value!r}"
            for key, value in self._whole.items()
            if last.get(key) != value
        ] + [f"{key}: {last[key]}" for key in last if key not in self._whole]


def summary(kills: list[Kill]) -> dict[str, Any]:
    """Return counts, and how long (seconds) it took from the kill until all was undone."""
    told: dict[str, Any] = {
        "kills": len(kills),
        "with a fault standing": sum(each.standing > 0 for each in kills),
        "nothing left": sum(not each.left for each in kills),
        "drills": len({each.drill for each in kills}),
    }
    for victim, count in sorted(Counter(each.victim for each in kills).items()):
        took = sorted(each.seconds for each in kills if each.victim == victim)
        told[victim] = {"kills": count, "median s": took[len(took) // 2], "longest s": took[-1]}
    return told


def main() -> int:
    """Kill, print, and say whether anything was left."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.kills", description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stack", default="dev")
    parser.add_argument("--minutes", type=float, default=600.0, help="begin none after this")
    options = parser.parse_args()
    platform = load_platform(options.stack, find_root())
    chance = random.Random(options.seed)  # noqa: S311 - instants, no secret
    until = time.monotonic() + 60 * options.minutes
    kills: list[Kill] = []
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(platform, Path(folder), chance)
        for index in range(options.count):
            if time.monotonic() > until:
                break
            kills.append(trial.kill_one(VICTIMS[index % len(VICTIMS)]))
            sys.stdout.write(json.dumps(asdict(kills[-1])) + "\n")
            sys.stdout.flush()
            if kills[-1].left:  # what follows would only count it again
                break
    sys.stdout.write(json.dumps(summary(kills), indent=2) + "\n")
    return 1 if any(each.left for each in kills) else 0


if __name__ == "__main__":
    sys.exit(main())
