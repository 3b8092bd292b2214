"""Detached server processes."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import psutil
import pytest

from infra.cluster.process import ServerProcess, taken_ports
from infra.waiting import WaitedTooLong, wait_for


@pytest.fixture
def server(tmp_path: Path) -> ServerProcess:
    return ServerProcess("idle", tmp_path, str(tmp_path / "mark"))


def start(server: ServerProcess) -> int:
    code = "import signal; signal.pause()"
    return server.start([sys.executable, "-c", code, server.mark])


def test_started_process_is_found_and_stopped(server: ServerProcess) -> None:
    """A started server is found by its pid file, and gone with it once stopped."""
    pid = start(server)
    found = server.find()
    assert found is not None
    assert found.pid == pid
    server.stop()
    assert server.find() is None
    assert not psutil.pid_exists(pid)
    assert not server.pid_file.exists()


def test_starting_twice_starts_once(server: ServerProcess) -> None:
    """A server that runs is not started again."""
    assert start(server) == start(server)
    server.stop()


def test_foreign_process_is_never_taken_for_ours(server: ServerProcess) -> None:
    """A recorded pid that another program has got is not ours to stop."""
    server.folder.mkdir(exist_ok=True)
    server.pid_file.write_text(json.dumps({"pid": os.getpid()}))
    assert server.find() is None
    server.stop()
    assert psutil.pid_exists(os.getpid())


def test_killed_process_is_not_found(server: ServerProcess) -> None:
    """A killed server is not running, though its pid file is there."""
    start(server)
    assert server.kill()
    assert server.find() is None
    assert not server.kill()


def test_taken_port_is_told() -> None:
    """A port that somebody listens on is taken, a free one is not."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert taken_ports([port]) == [port]
    assert taken_ports([port]) == []


def test_waiting_ends_at_its_deadline_and_when_in_vain() -> None:
    """Waiting says what it waited for: at its deadline, or at once when it is in vain."""
    with pytest.raises(WaitedTooLong, match=r"rain: not within 0\.01 s"):
        wait_for(lambda: False, "rain", seconds=0.01, every=0.001)
    with pytest.raises(WaitedTooLong, match="rain: drought"):
        wait_for(lambda: False, "rain", seconds=60, still_possible=lambda: "drought")
