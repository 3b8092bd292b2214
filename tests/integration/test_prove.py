"""`drill prove` on a real stack: a bad client and a bad configuration are caught, a good client is
not, and nothing of them remains. The whole matrix takes half an hour: docs/PROVE.md has it."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest
from live_stack import LiveStack

from drills.undo import UndoLog

pytestmark = pytest.mark.slow

#: The shortest drill that catches something.
DRILL = "session-outlives-revocation"
PATH = "/v1/database/roles/orders"


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
    assert UndoLog(stack.platform().drills.state_dir).pending() == []
    folder = next((stack.root / "runs").glob("*-prove"))
    assert "| `secrets-in-log` |" in (folder / "prove.md").read_text()


def test_interrupted_matrix_leaves_nothing(stack: LiveStack) -> None:
    """Ctrl-C while a bad configuration stands ends the matrix with 130 and puts it back."""
    before = settings(stack)
    (stack.root / "runs" / "latest").unlink(missing_ok=True)
    process = stack.start_drill("prove", "--only", "revocation-forgets-sessions", "--bad-only")
    stack.wait_for_event(event="fault-injected", fault="vault-setting")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert settings(stack) == before
    assert UndoLog(stack.platform().drills.state_dir).pending() == []
