"""After a run: search what was written for every secret that was handled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from drills.errors import SetupError
from drills.redact import Secrets
from drills.stack import export_state
from tools.errors import ToolError

STATE = "Pulumi's state"


@dataclass(frozen=True)
class Scan:
    """`hits`: a row (`file`, `kind`) a place; never the secret. `missing`: why a place could not
    be searched, None when all were."""

    hits: list[dict[str, str]]
    missing: str | None


def scan(secrets: Secrets, *, run_folder: Path, state_dir: Path, stack: str, root: Path) -> Scan:
    """Search the run folder, the drills' state folder and the stack's state.

    The run folder has the words of service, locust and any Vault Agent in it. The state is
    exported as Pulumi would hand it on, with its secrets encrypted, into memory alone: a secret
    that can be read there is one that the program forgot to mark.
    """
    files = [path for path in sorted(run_folder.rglob("*")) if path.is_file()]
    # The lock's holder, the undo log, what a watchdog had to say; the CA is public.
    files += [path for path in sorted(state_dir.glob("*")) if path.is_file()]
    hits = secrets.scan(files)
    try:
        state = export_state(stack, root)
    except (SetupError, ToolError, OSError) as error:
        return Scan(hits, f"{STATE} was not searched: {error}")
    return Scan(hits + secrets.scan_text(STATE, state), None)
