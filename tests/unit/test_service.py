"""The orders service: its answers over a scripted pool, and its start with bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from loadtests.service import application


class ScriptedPool:
    """Answers each statement with `rows`, or raises `error`."""

    def __init__(self, name: str, rows: list[tuple[Any, ...]], error: Exception | None = None):
        self.name, self.rows, self.error, self.lent = name, rows, error, 0

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[Any]:
        self.lent += 1
        if self.error:
            raise self.error
        yield self

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> ScriptedPool:
        return self

    def fetchone(self) -> tuple[Any, ...] | None:
        return self.rows[0] if self.rows else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.rows

    def get_stats(self) -> dict[str, int]:
        return {"pool_size": 1}

    def lease(self) -> dict[str, Any]:
        return {"generation": 1}

    def close(self) -> None:
        """Nothing to close."""


NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_an_order_is_placed() -> None:
    """POST /orders answers 201 with the order."""
    client = application([ScriptedPool("a", [(7, NOW)])]).test_client()
    answer = client.post("/orders", json={"item": "tea", "quantity": 2})
    assert answer.status_code == 201
    assert answer.get_json() == {
        "id": 7,
        "item": "tea",
        "quantity": 2,
        "created_at": "2026-01-02T00:00:00+00:00",
    }


@pytest.mark.parametrize("body", [None, [], {"item": "tea"}, {"item": "tea", "quantity": 0}])
def test_a_bad_order_is_the_clients_fault(body: object) -> None:
    """What is no order is a 400, and never reaches the database."""
    pool = ScriptedPool("a", [])
    assert application([pool]).test_client().post("/orders", json=body).status_code == 400
    assert pool.lent == 0


def test_orders_are_read() -> None:
    """One order, or a list of the newest; 404 for one that is not there."""
    row = (7, "tea", 2, NOW)
    client = application([ScriptedPool("a", [row])]).test_client()
    assert client.get("/orders/7").get_json()["item"] == "tea"
    assert [order["id"] for order in client.get("/orders?limit=5").get_json()] == [7]
    assert client.get("/healthz").get_json() == {"serves": True}
    empty = application([ScriptedPool("a", [])]).test_client()
    assert empty.get("/orders/7").status_code == 404
    assert empty.get("/nowhere").status_code == 404


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PoolTimeout("late"), {"error": "PoolTimeout", "sqlstate": None}),
        (psycopg.errors.AdminShutdown("x"), {"error": "AdminShutdown", "sqlstate": "57P01"}),
        (RuntimeError("x"), {"error": "RuntimeError", "sqlstate": None}),
    ],
)
def test_a_failure_is_a_500_that_names_its_class(error: Exception, said: dict[str, Any]) -> None:
    """The load tells failures apart by class and SQLSTATE; the words stay in the log."""
    answer = application([ScriptedPool("a", [], error)]).test_client().get("/orders/1")
    assert answer.status_code == 500
    assert answer.get_json() == said


def test_pools_take_requests_in_turn() -> None:
    """Each pool stands for a replica, and gets its share."""
    pools = [ScriptedPool(name, [(7, "tea", 2, NOW)]) for name in "abc"]
    client = application(pools).test_client()
    for _ in range(9):
        client.get("/orders/7")
    assert [pool.lent for pool in pools] == [3, 3, 3]
    assert [one["name"] for one in client.get("/pools").get_json()] == ["a", "b", "c"]


def _start(*arguments: str, target: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadtests.service", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "LOADTESTS_TARGET": target},
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pool", "magic"], "no pool 'magic'"),
        (["--pools", "0"], "it must be 1 or more"),
        (["--pool-timeout", "x"], "--pool-timeout"),
        ([], "/no/such/target.json: No such file"),
        (["--port", "1", "--host", "192.0.2.1"], "/no/such/target.json"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments: list[str], said: str) -> None:
    """No traceback, nothing on stdout: the last line names the thing."""
    done = _start(*arguments, target="/no/such/target.json")
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_port_that_is_taken_is_named(tmp_path: Any) -> None:
    """The line says which port, and what to do."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path = tmp_path / "target.json"
        path.write_text(
            json.dumps(
                {
                    "vault_addresses": ["http://127.0.0.1:1"],
                    "vault_ca_pem": None,
                    "auth": {"method": "token-file", "path": "/no/such/token"},
                    "database_mount": "database",
                    "role": "orders",
                    "postgres": {"host": "db", "port": 1, "database": "o", "ca_pem": None},
                }
            )
        )
        done = _start("--port", str(port), target=str(path))
    assert done.returncode == 2
    assert f"--port {port}: Address already in use" in done.stderr
