"""`drill prove` on a real stack: a bad client and a bad configuration are caught, a good client is
not, and nothing of them remains. The whole matrix takes half an hour: docs/PROVE.md has it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from live_stack import LiveStack

from drills.undo import UndoLog, lock_holder
from infra.waiting import wait_for

pytestmark = pytest.mark.slow

#: The shortest drill that catches something.
DRILL = "session-outlives-revocation"
PATH = "/v1/database/roles/orders"


def log_folder(stack: LiveStack) -> Path:
    """Where the drills of the stack keep their undo log and lock."""
    return stack.platform().drills.state_dir


def settings(stack: LiveStack) -> dict[str, Any]:
    """The role as Vault has it."""
    found: dict[str, Any] = stack.provisioner().adapter.get(PATH)["data"]
    return found


def test_matrix_of_a_drill(stack: LiveStack) -> None:
    """The known defects are caught in the bounds that are named for them, the good client passes,
    and the configuration is afterwards what it was before."""
    before = settings(stack)
    process = stack.start_drill("prove", "--drill", DRILL, "--json")
    out, err = process.communicate(timeout=600)
    told = json.loads(out)
    cells = {cell["defect"]: cell for cell in told["cells"]}
    assert cells["none (the good client)"]["outcome"] == "passed", err
    assert cells["secrets-in-log"]["broke"] == ["leaked_secrets"], err
    configuration = cells["revocation-forgets-sessions"]
    assert configuration["outcome"] == "caught", err
    assert "sessions_on_revoked_roles" in configuration["broke"]
    assert process.returncode == told["exit"]
    assert settings(stack) == before
    assert UndoLog(log_folder(stack)).pending() == []
    folder = next((stack.root / "runs").glob("*-prove"))
    assert "| `secrets-in-log` |" in (folder / "prove.md").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda it: it.name)
def test_killed_matrix_leaves_nothing(stack: LiveStack, number: signal.Signals) -> None:
    """However the matrix ends while a bad configuration stands, the configuration is put back: by
    Ctrl-C with 130, and after SIGKILL by the watchdog."""
    before = settings(stack)
    (stack.root / "runs" / "latest").unlink(missing_ok=True)
    process = stack.start_drill("prove", "--only", "revocation-forgets-sessions", "--bad-only")
    try:
        stack.wait_for_event(seconds=240, event="fault-injected", fault="vault-setting")
        process.send_signal(number)
        out, err = process.communicate(timeout=180)
    finally:
        process.kill()  # nothing where it has ended
    assert process.returncode == (130 if number is signal.SIGINT else -signal.SIGKILL), out + err
    assert "Traceback" not in out + err
    state_dir = log_folder(stack)
    log = UndoLog(state_dir)
    wait_for(lambda: log.pending() == [], "the watchdog having undone it", seconds=120, every=0.2)
    assert settings(stack) == before
    # the watchdog judges last, and lets go of the stack's lock only then
    wait_for(lambda: lock_holder(state_dir) is None, "the lock", seconds=120, every=0.2)
