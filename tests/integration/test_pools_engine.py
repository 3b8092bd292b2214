"""`use_lease` on a real Vault and a real Postgres: an SQLAlchemy engine with lease sense."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from loadtests.pools import (
    CredentialsRefused,
    CredentialsUnavailable,
    EngineLease,
    PoolOpenError,
    open_pool,
    use_lease,
)
from loadtests.pools.postgres import connect_arguments
from loadtests.target import Target
from tests.integration.pool_load import fails, load, query, revoke_all
from tests.integration.pool_servers import Servers, until

pytestmark = pytest.mark.slow


@contextmanager
def _engine(target: Target, *, size: int = 5) -> Iterator[tuple[Engine, EngineLease]]:
    engine = create_engine(
        "postgresql+psycopg://",
        connect_args=connect_arguments(target.postgres, application_name="engine"),
        pool_size=size,
        max_overflow=0,
        logging_name="engine-of-a-test",
    )
    lease = use_lease(engine, target)
    try:
        yield engine, lease
    finally:
        engine.dispose()


def _select(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1


def _beside(work: Callable[[], object], *, threads: int) -> list[BaseException]:
    """Do `work` in so many threads at once; return what they raised."""
    together, raised = threading.Barrier(threads), []

    def one() -> None:
        together.wait(20)
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, it counts
            raised.append(error)

    workers = [threading.Thread(target=one) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    return raised


def test_forced_revocation_costs_one_lease_and_what_was_in_flight(healthy: Servers) -> None:
    """When every lease is revoked under load, each thread loses at most the statement that it
    had running; nothing that starts afterwards fails, and one new lease is taken."""
    pool = open_pool("sqlalchemy-lease-aware", healthy.target(), size=20, timeout=30)
    try:
        with load(pool) as seen:
            revoked = revoke_all(healthy)
            until("load goes on", lambda: seen.count(revoked) > 1000, seconds=40)
        assert seen.failed(revoked) == []
        assert len(seen.failed()) <= 16
        assert pool.lease()["issues"] == pool.lease()["generation"] == 2
        until("one role is left", lambda: len(healthy.dynamic_roles()) == 1, seconds=20)
    finally:
        pool.close()
    assert healthy.leases() == []
    assert healthy.dynamic_roles() == []


def test_natural_expiry_fails_nothing_and_old_roles_go(healthy: Servers) -> None:
    """Over three generations that end at max_ttl, not one request fails; a role goes when its
    connections have, idle ones included."""
    target = healthy.target(healthy.role("brief", ttl=2, max_ttl=4))
    pool = open_pool("sqlalchemy-lease-aware", target, size=10, timeout=30)
    try:
        with load(pool, threads=4) as seen:
            until("three rotations", lambda: pool.lease()["generation"] >= 4, seconds=60)
        assert seen.failed() == []
        until("old roles are gone", lambda: len(healthy.dynamic_roles()) == 1, seconds=20)
    finally:
        pool.close()


def test_a_refused_login_costs_one_lease(healthy: Servers) -> None:
    """However many threads connect with a credential that Postgres refuses, one new lease is
    taken, and none of them fails."""
    with _engine(healthy.target(), size=10) as (engine, lease):
        _select(engine)
        with healthy.superuser() as owner:
            owner.execute(f'ALTER ROLE "{lease.lease()["username"]}" NOLOGIN'.encode())

        def hold() -> None:
            with engine.connect() as connection:
                connection.execute(text("SELECT pg_sleep(0.2)"))

        assert _beside(hold, threads=10) == []
        assert lease.lease()["refusals"] == 1
        assert lease.lease()["issues"] == 2


def test_killed_sessions_cost_one_lease_and_no_request(healthy: Servers) -> None:
    """Sessions that were killed while idle are never lent, whatever the engine runs on them."""
    with _engine(healthy.target()) as (engine, lease):
        held = [engine.connect() for _ in range(5)]
        for one in held:
            one.execute(text("SELECT 1"))
            one.close()
        healthy.revoke_all()
        assert _beside(lambda: _select(engine), threads=5) == []
        until("the new lease", lambda: lease.lease()["issues"] == 2, seconds=20)
        _select(engine)
        assert lease.lease()["issues"] == 2


def test_a_statement_that_is_killed_fails_and_has_the_lease_replaced(healthy: Servers) -> None:
    """57P01 in the middle of a statement is raised, not repeated, and leads to one new lease."""
    with _engine(healthy.target()) as (engine, lease):
        _select(engine)
        with pytest.raises(OperationalError), engine.connect() as connection:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        until("a new lease", lambda: lease.lease()["generation"] == 2, seconds=20)
        _select(engine)
        assert lease.lease()["issues"] == 2


def test_an_outage_within_the_lease_fails_nothing_and_beyond_it_is_typed(healthy: Servers) -> None:
    """While the lease lasts an outage fails nothing; past its deadline `orig` is the typed error,
    at once; once Vault is back requests succeed."""
    target = healthy.target(healthy.role("brief", ttl=6, max_ttl=60))
    pool = open_pool("sqlalchemy-lease-aware", target, size=5, timeout=60)
    try:
        with load(pool, threads=4) as seen:
            healthy.kill_vault()
            remains: float = pool.lease()["lease_remaining_seconds"]
            deadline = time.monotonic() + remains
            try:
                until("past it", lambda: pool.lease()["lease_remaining_seconds"] < 0, seconds=20)
                until("refused", lambda: pool.lease()["breaker"] != "closed", seconds=20)
                failing = time.monotonic()
                until("failures", lambda: len(seen.failed(failing)) > 20, seconds=20)
            finally:
                healthy.start_vault()
            until("served", lambda: not fails(pool, CredentialsUnavailable), seconds=30)
        assert {type(error) for error in seen.failed()} == {CredentialsUnavailable}
        assert [start for start, _, error in seen.seen if error and start < deadline] == []
        query(pool)
    finally:
        pool.close()


def test_dispose_gives_back_and_the_engine_can_begin_again(healthy: Servers) -> None:
    """After `dispose` there is no role, no lease, no thread; a later connect takes a new lease."""
    with _engine(healthy.target()) as (engine, lease):
        for _ in range(2):
            _select(engine)
            assert len(healthy.leases()) == 1
            engine.dispose()
            assert healthy.leases() == []
            assert healthy.dynamic_roles() == []
            assert lease.lease() == {}
            assert not [one for one in threading.enumerate() if "engine-of-a-test" in one.name]


def test_what_was_lent_at_dispose_does_not_cost_the_next_lease(healthy: Servers) -> None:
    """A session of the lease that was given back says nothing about the one after it."""
    with _engine(healthy.target()) as (engine, lease):
        held = engine.connect()
        held.execute(text("SELECT 1"))
        engine.dispose()  # its session is ended with its lease
        _select(engine)
        with pytest.raises(OperationalError):
            held.execute(text("SELECT 1"))
        held.close()
        _select(engine)
        assert lease.lease()["generation"] == lease.lease()["issues"] == 1


def test_bad_input_is_said_and_leaves_nothing(healthy: Servers) -> None:
    """A wrong role or driver: a typed error, no lease, no thread."""
    before = set(threading.enumerate())
    with _engine(healthy.target("no-such-role")) as (engine, _):
        with pytest.raises(OperationalError) as caught:
            engine.connect()
        assert isinstance(caught.value.orig, CredentialsRefused)
    with pytest.raises(PoolOpenError, match="no-such-role"):
        open_pool("sqlalchemy-lease-aware", healthy.target("no-such-role"), size=1)
    with pytest.raises(ValueError, match=r"postgresql\+psycopg://"):
        use_lease(create_engine("sqlite://"), healthy.target())
    until("no thread is left", lambda: set(threading.enumerate()) <= before, seconds=20)
    assert healthy.leases() == []
