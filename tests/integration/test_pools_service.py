"""The orders service and locust, as the runner starts them: real processes, real servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from loadtests.serviceprocess import ServiceProcess
from tests.integration.pool_servers import Servers, running, until

pytestmark = pytest.mark.slow
LOCUST = (
    *(sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py"),
    *("--headless", "--only-summary", "--pool-size=10"),
)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One Vault and one Postgres for the whole module."""
    with running(tmp_path_factory.mktemp("servers")) as both:
        yield both


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_service_serves_and_gives_everything_back(servers: Servers) -> None:
    """Orders go in and come out; SIGTERM ends it with exit 0, no role and no lease left."""
    service = ServiceProcess(servers.target(), "--pools=2", "--pool-size=2")
    try:
        with httpx.Client(base_url=service.address) as client:
            placed = client.post("/orders", json={"item": "tea", "quantity": 2})
            assert placed.status_code == 201
            assert client.get(f"/orders/{placed.json()['id']}").json() == placed.json()
            assert placed.json() in client.get("/orders").json()
            assert client.get("/healthz").json() == {"serves": True}
            generations = [pool["lease"]["generation"] for pool in client.get("/pools").json()]
            assert generations == [1, 1]
        assert len(servers.leases()) == 2
    finally:
        status = service.stop()
    assert status == 0
    assert servers.leases() == []
    assert servers.dynamic_roles() == []


def test_a_signal_while_pools_open_leaves_nothing(servers: Servers) -> None:
    """SIGTERM before `ready` still gives back what was taken by then."""
    reading, writing = os.pipe()
    os.write(writing, servers.target().reveal().encode())
    os.close(writing)
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtests.service", "--pools=2", "--pool-size=5"],
        stdout=subprocess.PIPE,
        pass_fds=[reading],
        env={**os.environ, "LOADTESTS_TARGET": f"fd:{reading}"},
    )
    os.close(reading)
    until("a role was made", servers.dynamic_roles, seconds=20)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0
    until("no role is left", lambda: not servers.dynamic_roles(), seconds=5)
    assert servers.leases() == []


@pytest.mark.parametrize("user", ["OrdersUser", "PoolUser"])
def test_locust_alone_makes_load_and_logs_each_request(
    servers: Servers, tmp_path: Path, user: str
) -> None:
    """Without `--host` it brings its own service; a revocation on the way fails at most what was
    in flight; the log has every request, no secret is in any output, the exit status is 0."""
    log = tmp_path / "requests.jsonl"
    secrets_out, secrets_in = os.pipe()
    reading, writing = os.pipe()
    os.write(writing, servers.target().reveal().encode())
    os.close(writing)
    with (tmp_path / "load.log").open("wb") as output:
        process = subprocess.Popen(
            [*LOCUST, "--users=20", "--spawn-rate=20", "--run-time=8s", "--pools=2"],
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[reading, secrets_in],
            env={
                **os.environ,
                "LOADTESTS_TARGET": f"fd:{reading}",
                "LOADTESTS_REQUEST_LOG": str(log),
                "LOADTESTS_USER_CLASS": user,
                "LOADTESTS_SECRETS_FD": str(secrets_in),
            },
        )
        os.close(reading)
        os.close(secrets_in)
        try:
            until("load is made", lambda: log.exists() and len(_lines(log)) > 200, seconds=120)
            servers.revoke_all()
            revoked = time.monotonic() + 0.2  # until the last killed session's socket is closed
            assert process.wait(120) == 0, (tmp_path / "load.log").read_text()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    requests = _lines(log)
    late = [one for one in requests if float(str(one["t"])) > revoked]
    assert len(late) > 200
    assert [one for one in late if not one["ok"]] == []
    failed = [one for one in requests if not one["ok"]]
    assert {one["error"] for one in failed} <= {"AdminShutdown", "OperationalError"}
    assert len(failed) <= 20
    handled = [line.split("\t")[1] for line in os.read(secrets_out, 1 << 16).decode().splitlines()]
    os.close(secrets_out)
    assert len(handled) >= 6
    written = (tmp_path / "load.log").read_text() + log.read_text()
    assert [value for value in handled if value in written] == []
    assert servers.leases() == []


def test_a_service_that_dies_is_a_failure_of_the_load(servers: Servers, tmp_path: Path) -> None:
    """A failed request is data and exits 0; a service that is gone is not, and exits 1."""
    log = tmp_path / "requests.jsonl"
    reading, writing = os.pipe()
    os.write(writing, servers.target().reveal().encode())
    os.close(writing)
    process = subprocess.Popen(
        [*LOCUST, "--users=2", "--run-time=300s", "--pools=1"],
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=[reading],
        env={
            **os.environ,
            "LOADTESTS_TARGET": f"fd:{reading}",
            "LOADTESTS_REQUEST_LOG": str(log),
        },
    )
    os.close(reading)
    try:
        until("load is made", lambda: log.exists() and len(_lines(log)) > 20, seconds=120)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        until("requests fail", lambda: not _lines(log)[-1]["ok"], seconds=60)
        process.terminate()
        said = process.communicate(timeout=120)[1]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert process.returncode == 1, said
    assert "the orders service ended during the load, exit -9" in said
    assert {"ConnectionRefusedError", None} >= {one["error"] for one in _lines(log)} - {
        "ConnectionResetError",
        "HTTPConnectionClosed",
    }
    servers.revoke_all()
