"""One fault from outside a run: `python -m drills.export.activity inject NAME PARAMS` or `undo`.

For runners of other people. What is injected stands in the undo log until it is undone, so `drill
recover` works for it, and no drill starts meanwhile. There is no watchdog, since there is no runner
of ours to watch: who uses this gives up what `drill run` promises about faults that outlive it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from drills import preflight
from drills.errors import FaultError, SetupError, VaultRefused, VaultUnreachable
from drills.faults.registry import make
from drills.recovery import open_scene, undo_entries
from drills.redact import Secrets
from drills.stack import load_platform
from drills.undo import Pending, UndoLog, only_drill
from infra.platform import Platform
from tools.environment import find_root
from tools.errors import ToolError

RUN = "from-outside"


def inject(platform: Platform, name: str, params: dict[str, object]) -> None:
    """Inject one fault and return; it stands until `undo`. Raises what the fault raises."""
    if not platform.drills.allowed:
        raise SetupError(f"stack {platform.stack} does not allow drills")
    preflight.check_hold(platform)
    fault = make(name, params)
    with (
        only_drill(platform.drills.state_dir),
        open_scene(platform, Secrets(), lambda *_a, **_k: None) as scene,
    ):
        record = fault.prepare(scene)
        pending = Pending(RUN, fault.name, fault.params.model_dump(), record)
        UndoLog(platform.drills.state_dir).add(pending)
        fault.inject(scene, record)


def undo(platform: Platform) -> list[str]:
    """Undo what `inject` left standing; return the problems, one line each."""
    log = UndoLog(platform.drills.state_dir)
    with (
        only_drill(platform.drills.state_dir, part="recover", patience=60),
        open_scene(platform, Secrets(), lambda *_a, **_k: None) as scene,
    ):
        return undo_entries(log, [each for each in log.pending() if each.run == RUN], scene)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, 2 for what can't be injected, 5 for what could not be undone."""
    parser = argparse.ArgumentParser(prog="python -m drills.export.activity", description=__doc__)
    parser.add_argument("--stack", default="dev")
    parser.add_argument("what", choices=["inject", "undo"])
    parser.add_argument("fault", nargs="?")
    parser.add_argument("params", nargs="?", default="{}")
    options = parser.parse_args(arguments)
    try:
        platform = load_platform(options.stack, find_root())
        if options.what == "undo":
            problems = undo(platform)
            sys.stderr.writelines(f"{problem}\n" for problem in problems)
            return 5 if problems else 0
        inject(platform, options.fault or "", json.loads(options.params))
    except (FaultError, SetupError, ToolError, VaultRefused, VaultUnreachable, ValueError) as error:
        sys.stderr.write(f"drills.export.activity: {' '.join(str(error).split())}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
