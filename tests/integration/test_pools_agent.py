"""The `agent-file` pool: a real Vault Agent beside a real Vault and a real Postgres."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from loadtests.pools import PoolOpenError, open_pool
from loadtests.target import TokenFile
from tests.integration.pool_load import query, works
from tests.integration.pool_servers import Servers, until

pytestmark = pytest.mark.slow

_OPEN_AND_WAIT = """
import sys
from loadtests.pools import open_pool
from loadtests.target import Target
pool = open_pool("agent-file", Target.load(), size=1)
print("ready", flush=True)
sys.stdin.read()
"""


def _below(process: psutil.Process) -> list[psutil.Process]:
    """Return the guard and the agent that `process` has started."""
    return [
        one
        for one in process.children(recursive=True)
        if "agent" in one.cmdline() or any("agent_guard" in part for part in one.cmdline())
    ]


def _folders() -> set[str]:
    return {one.name for one in Path(tempfile.gettempdir()).glob("vault-agent-*")}


def test_it_serves_and_comes_back_from_a_revocation_when_the_agent_notices(
    healthy: Servers,
) -> None:
    """A revocation is noticed at the agent's next renewal; then the pool reads the new
    credential and serves again. Closed, it leaves no process and no file."""
    before = _folders()
    target = healthy.target(healthy.role("brief", ttl=6, max_ttl=120))
    pool = open_pool("agent-file", target, size=2, timeout=5)
    try:
        query(pool)
        children = _below(psutil.Process())
        assert len(children) == 2
        shown = " ".join(" ".join([*one.cmdline(), *one.environ().values()]) for one in children)
        assert not [value for value in healthy.secrets if value in shown]
        (folder,) = _folders() - before
        assert (Path(tempfile.gettempdir()) / folder).stat().st_mode & 0o777 == 0o700
        assert not (Path(tempfile.gettempdir()) / folder / "secret-id").exists()
        healthy.revoke_all("brief")
        until("it serves again", lambda: works(pool), seconds=60)
        assert pool.lease()["issues"] >= 2
    finally:
        pool.close()
    assert _below(psutil.Process()) == []
    assert _folders() == before


def test_the_agent_dies_with_its_parent(healthy: Servers) -> None:
    """When the process of the pool is killed, guard and agent end, and their folder is deleted."""
    before = _folders()
    reading, writing = os.pipe()
    os.write(writing, healthy.target().reveal().encode())
    os.close(writing)
    with subprocess.Popen(
        [sys.executable, "-c", _OPEN_AND_WAIT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[reading],
        env={**os.environ, "LOADTESTS_TARGET": f"fd:{reading}"},
    ) as parent:
        os.close(reading)
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        children = _below(psutil.Process(parent.pid))
        assert len(children) == 2
        parent.kill()
    until("both have ended", lambda: not any(_runs(one) for one in children), seconds=30)
    until("the folder is gone", lambda: _folders() == before, seconds=30)


def test_the_agent_dies_with_a_guard_that_is_killed(healthy: Servers) -> None:
    """Not even a guard that is killed leaves an agent behind."""
    pool = open_pool("agent-file", healthy.target(), size=1)
    try:
        guard, agent = _below(psutil.Process())
        guard.send_signal(signal.SIGKILL)
        until("the agent has ended", lambda: not _runs(agent), seconds=30)
    finally:
        pool.close()


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_an_agent_uses_a_token_file_as_well(healthy: Servers, tmp_path: Path) -> None:
    """The target's auth method is the agent's."""
    file = tmp_path / "token"
    made = healthy.operator().auth.token.create(policies=["orders"], ttl="10m")
    file.write_text(made["auth"]["client_token"])
    target = healthy.target(auth=TokenFile(method="token-file", path=file))
    pool = open_pool("agent-file", target, size=1)
    try:
        query(pool)
    finally:
        pool.close()


def test_a_role_that_does_not_exist_is_said_and_leaves_nothing(healthy: Servers) -> None:
    """What Vault refuses the agent is said at once, in one line."""
    before = _folders()
    with pytest.raises(PoolOpenError, match=r"Vault answered 400 .*no-such-role") as caught:
        open_pool("agent-file", healthy.target("no-such-role"), size=1)
    assert "\n" not in str(caught.value)
    assert _below(psutil.Process()) == []
    assert _folders() == before
