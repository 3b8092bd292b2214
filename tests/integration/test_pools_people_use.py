"""The pools people use, on a real Vault and a real Postgres: what a revocation costs each."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest

from loadtests.pools import Pool, PoolOpenError, open_pool
from tests.integration.pool_servers import Servers, running, until

pytestmark = pytest.mark.slow

KINDS = ("sqlalchemy", "psycopg-callable")
SIZE = 5


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One Vault and one Postgres for the whole module."""
    with running(tmp_path_factory.mktemp("servers")) as both:
        yield both


@pytest.fixture(params=KINDS)
def pool(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Pool]:
    """Each of the pools, open, on servers without a lease of an earlier test."""
    with suppress(Exception):
        servers.revoke_all()
    until("no dynamic role is left", lambda: not servers.dynamic_roles(), seconds=10)
    opened = open_pool(request.param, servers.target(), size=SIZE, timeout=5)
    yield opened
    opened.close()


def _query(pool: Pool) -> int:
    with pool.connection() as connection:
        row = connection.execute("SELECT 1").fetchone()
    assert row is not None
    return int(row[0])


def _insert_and_fail(pool: Pool, insert: str) -> None:
    with pool.connection() as connection:
        connection.execute(insert, (f"lost by {pool.name}",))
        connection.execute("SELECT 1 / 0")


def _works(pool: Pool) -> bool:
    with suppress(psycopg.OperationalError):
        return _query(pool) == 1
    return False


def test_it_writes_what_a_block_did_and_not_what_it_failed_to_do(pool: Pool) -> None:
    """A block that ends commits; one that raises leaves nothing behind."""
    insert = "INSERT INTO orders.orders (item, quantity) VALUES (%s, 1)"
    with pool.connection() as connection:
        connection.execute(insert, (f"kept by {pool.name}",))
    with pytest.raises(psycopg.errors.DivisionByZero):
        _insert_and_fail(pool, insert)
    with pool.connection() as connection:
        found = connection.execute(
            "SELECT item FROM orders.orders WHERE item LIKE %s", (f"%{pool.name}",)
        ).fetchall()
    assert found == [(f"kept by {pool.name}",)]


def test_it_recovers_from_a_revocation_at_its_own_price(pool: Pool, servers: Servers) -> None:
    """After every lease was revoked all threads are served again; SQLAlchemy's shared lease costs
    one new lease, a callable one for each connection that is opened anew."""
    before = pool.lease()["issues"]
    assert before == (1 if pool.name == "sqlalchemy" else SIZE)
    servers.revoke_all()
    until("every connection was replaced", lambda: _works(pool), seconds=10)
    failed: list[Exception] = []
    together = threading.Barrier(SIZE)

    def work() -> None:
        try:
            with pool.connection() as connection:
                together.wait(10)  # all connections are lent at once
                connection.execute("SELECT 1")
        except Exception as error:  # noqa: BLE001 - whatever it is, it counts
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(SIZE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failed == []
    new = pool.lease()["issues"] - before
    assert new == 1 if pool.name == "sqlalchemy" else SIZE <= new <= SIZE + 1


def test_it_gives_its_leases_back(pool: Pool, servers: Servers) -> None:
    """Closed, it leaves no role in Postgres for the rest of the ttl."""
    assert servers.dynamic_roles()
    pool.close()
    until("the roles are gone", lambda: not servers.dynamic_roles(), seconds=20)


def test_a_login_that_was_revoked_is_replaced(pool: Pool, servers: Servers) -> None:
    """When Vault no longer takes its token, it logs in again."""
    operator = servers.operator()
    for accessor in operator.list("auth/token/accessors")["data"]["keys"]:
        found = operator.auth.token.lookup_accessor(accessor)["data"]
        if found["path"] == "auth/approle/login":
            operator.auth.token.revoke_accessor(accessor)
    until("the roles are gone", lambda: not servers.dynamic_roles(), seconds=10)
    until("it serves again", lambda: _works(pool), seconds=20)


@pytest.mark.parametrize("kind", KINDS)
def test_a_role_that_does_not_exist_is_said_at_once(kind: str, servers: Servers) -> None:
    """Bad input is one line with Vault's reason, before anything was started."""
    start, threads = time.monotonic(), threading.active_count()
    with pytest.raises(PoolOpenError, match="issue: Vault answered 400"):
        open_pool(kind, servers.target("nobody"), size=1)
    assert time.monotonic() - start < 5
    assert threading.active_count() == threads
