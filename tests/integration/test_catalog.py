"""The catalog on a real stack: those of a release gate, and that they can fail.

`drill run --all` takes a quarter of an hour, so the whole catalog is the monthly drill's, not this
suite's: what differs between its drills is the faults, and tests/unit/test_faults.py has them all.
"""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from live_stack import LiveStack

from drills.database import Database
from drills.definition import catalog
from drills.undo import UndoLog
from tests.integration.pool_servers import until

pytestmark = pytest.mark.slow

RELEASE = [drill.drill for drill in catalog() if "release" in drill.tags]


def test_release_drills_pass_within_their_time(stack: LiveStack) -> None:
    """`drill run --tag release` runs each of its drills, and the reference pool passes them all."""
    process = stack.start_drill("run", "--tag", "release", "--json")
    out, err = process.communicate(timeout=600)
    told = json.loads(out)
    assert [row["drill"] for row in told["drills"]] == RELEASE, err
    assert {row["drill"]: row["verdict"] for row in told["drills"]} == dict.fromkeys(
        RELEASE, "pass"
    ), err
    assert process.returncode == told["exit"] == 0
    assert UndoLog(stack.platform().drills.state_dir).pending() == []


@pytest.mark.parametrize("drill", ["single-lease-revoked", "client-token-revoked"])
def test_static_pool_fails(stack: LiveStack, drill: str) -> None:
    """Fixed credentials break the bounds on the client, and none on the platform."""
    done = stack.drill("run", drill, "--pool", "static", "--json")
    assert done.returncode == 99, done.stderr
    broken = {
        bound["name"] for bound in json.loads(done.stdout)["bounds"] if bound["verdict"] == "fail"
    }
    assert broken == {"failed_ratio", "recovery_seconds"}


def test_revocation_that_forgets_sessions_fails(stack: LiveStack) -> None:
    """Vault's default revocation SQL ends no session: session-outlives-revocation says so."""
    vault, path = stack.provisioner(), "/v1/database/roles/orders"
    declared = vault.adapter.get(path)["data"]["revocation_statements"]
    vault.adapter.post(path, json={"revocation_statements": []})
    try:
        done = stack.drill("run", "session-outlives-revocation", "--json")
    finally:
        vault.adapter.post(path, json={"revocation_statements": declared})
    assert done.returncode == 99, done.stderr
    bounds = {bound["name"]: bound["verdict"] for bound in json.loads(done.stdout)["bounds"]}
    assert bounds["sessions_on_revoked_roles"] == "fail"
    # the role itself is gone, and nobody gets in: what is left is what nobody looks for
    assert bounds["revoked_roles_left"] == bounds["old_login_accepted"] == "pass"
    # and the drill itself leaves none of them to the next one
    with closing(Database(stack.platform())) as database:
        until("no session without a role is left", lambda: not database.sessions()[1], seconds=30)


def test_one_of_name_all_and_tag(stack: LiveStack) -> None:
    """Two of them at once, none, or a tag that no drill has, are refused in a line, exit 2."""
    for arguments in (["run"], ["run", "leader-kill", "--all"], ["run", "--tag", "nope"]):
        done = stack.drill(*arguments)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
