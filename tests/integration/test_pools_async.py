"""`AsyncLeaseAwarePool` on a real Vault and a real Postgres."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest
from psycopg_pool import PoolClosed, PoolTimeout

from loadtests.pools import AsyncLeaseAwarePool, CredentialsRefused, CredentialsUnavailable
from tests.integration.pool_load import Load, revoke_all
from tests.integration.pool_servers import Servers

pytestmark = pytest.mark.slow


async def _query(pool: AsyncLeaseAwarePool) -> None:
    async with pool.connection() as connection:
        await connection.execute("SELECT 1")


async def _until(what: str, condition: Callable[[], object], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:g} s still not: {what}")
        await asyncio.sleep(0.02)


@asynccontextmanager
async def _load(pool: AsyncLeaseAwarePool, *, tasks: int = 16) -> AsyncIterator[Load]:
    """Query the pool from `tasks` tasks while the block runs."""
    seen, stop = Load(), asyncio.Event()

    async def work() -> None:
        while not stop.is_set():
            start, error = time.monotonic(), None
            try:
                await _query(pool)
            except Exception as raised:  # noqa: BLE001 - whatever it is, it counts
                error = raised
            seen.seen.append((start, time.monotonic() - start, error))
            await asyncio.sleep(0.002)

    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(work())
        try:
            await _until("the load is under way", lambda: seen.count() > 100, seconds=30)
            yield seen
        finally:
            stop.set()


def test_forced_revocation_costs_one_lease_and_what_was_in_flight(healthy: Servers) -> None:
    """When every lease is revoked under load, each task loses at most the statement that it had
    running; nothing that starts afterwards fails, and one new lease is taken."""

    async def drill() -> None:
        async with AsyncLeaseAwarePool(healthy.target(), min_size=20, timeout=30) as pool:
            await pool.wait()
            async with _load(pool) as seen:
                revoked = await asyncio.to_thread(revoke_all, healthy)
                await _until("load goes on", lambda: seen.count(revoked) > 1000, seconds=40)
            assert seen.failed(revoked) == []
            assert len(seen.failed()) <= 16
            kinds = {type(error) for error in seen.failed()}
            assert kinds <= {psycopg.errors.AdminShutdown, psycopg.OperationalError}
            assert pool.lease()["issues"] == pool.lease()["generation"] == 2

    asyncio.run(drill())


def test_natural_expiry_fails_nothing(healthy: Servers) -> None:
    """Over three generations that end at max_ttl, not one request fails, and old roles go."""
    role = healthy.role("brief", ttl=2, max_ttl=4)

    async def drill() -> None:
        async with AsyncLeaseAwarePool(healthy.target(role), min_size=5, timeout=30) as pool:
            await pool.wait()
            async with _load(pool, tasks=8) as seen:
                await _until("rotations", lambda: pool.lease()["generation"] >= 4, seconds=60)
            assert seen.failed() == []
            gone = lambda: len(healthy.dynamic_roles()) == 1  # noqa: E731
            await _until("old roles are gone", gone, seconds=30)

    asyncio.run(drill())


def test_a_refused_credential_is_replaced_once(healthy: Servers) -> None:
    """A login that Postgres refuses costs one refresh, and no request fails."""

    async def drill() -> None:
        pool = AsyncLeaseAwarePool(healthy.target(), min_size=2, max_size=8, timeout=30)
        async with pool:
            await pool.wait()
            with healthy.superuser() as owner:
                owner.execute(f'ALTER ROLE "{pool.lease()["username"]}" NOLOGIN'.encode())
            async with _load(pool) as seen:  # needs more connections than are open
                await _until("load goes on", lambda: seen.count() > 500, seconds=40)
            assert seen.failed() == []
            assert pool.lease()["refusals"] == 1
            assert pool.lease()["issues"] == 2

    asyncio.run(drill())


def test_an_outage_within_the_lease_fails_nothing_and_beyond_it_is_typed(healthy: Servers) -> None:
    """While the lease lasts an outage fails nothing; from its deadline on requests fail typed,
    without waiting; once Vault is back they succeed."""
    role = healthy.role("brief", ttl=6, max_ttl=60)

    async def drill() -> None:
        async with AsyncLeaseAwarePool(healthy.target(role), min_size=5, timeout=60) as pool:
            await pool.wait()
            async with _load(pool, tasks=4) as seen:
                healthy.kill_vault()
                remains: float = pool.lease()["lease_remaining_seconds"]
                deadline = time.monotonic() + remains
                try:
                    refused = lambda: pool.lease()["breaker"] != "closed"  # noqa: E731
                    expired = lambda: pool.lease()["lease_remaining_seconds"] <= 0  # noqa: E731
                    await _until("past the lease", lambda: refused() and expired(), seconds=30)
                    failing = time.monotonic()
                    await _until("failures", lambda: len(seen.failed(failing)) > 20, seconds=30)
                finally:
                    await asyncio.to_thread(healthy.start_vault)
                await _until("closed", lambda: pool.lease()["breaker"] == "closed", seconds=30)
                back = time.monotonic()
                await _until("requests succeed", lambda: seen.count(back) > 50, seconds=30)
            assert {type(error) for error in seen.failed()} == {CredentialsUnavailable}
            assert [start for start, _, error in seen.seen if error and start < deadline] == []
            assert seen.failed(back) == []

    asyncio.run(drill())


def test_the_loop_goes_on_while_vault_hangs(healthy: Servers) -> None:
    """A Vault that accepts and never answers holds up the lease thread, never the event loop."""
    role = healthy.role("brief", ttl=12, max_ttl=120)

    async def drill() -> None:
        async with AsyncLeaseAwarePool(healthy.target(role), min_size=3, timeout=30) as pool:
            await pool.wait()
            async with _load(pool, tasks=4) as seen:
                with healthy.frozen_vault():
                    failures = lambda: pool.lease()["renewal_failures"] > 0  # noqa: E731
                    await _until("a renewal failed", failures, seconds=20)
            assert seen.failed() == []
            assert pool.lease()["issues"] == 1

    asyncio.run(drill())


def test_close_gives_everything_back(healthy: Servers) -> None:
    """After `close` there is no role, no lease, no thread, no task, and `getconn` says closed."""

    async def drill() -> None:
        pool = AsyncLeaseAwarePool(healthy.target(), min_size=3, name="given-back")
        await pool.open(wait=True)
        assert len(healthy.leases()) == 1
        await pool.close()
        assert healthy.leases() == []
        assert healthy.dynamic_roles() == []
        assert not [one for one in threading.enumerate() if "given-back" in one.name]
        assert not [one for one in asyncio.all_tasks() if "given-back" in one.get_name()]
        with pytest.raises(PoolClosed):
            await pool.getconn()

    asyncio.run(drill())


def test_cancelled_waiters_leak_nothing(healthy: Servers) -> None:
    """Tasks cancelled while they wait, for a connection or for a credential, leave no connection
    lent and nobody in the queue."""

    async def drill() -> None:
        async with AsyncLeaseAwarePool(healthy.target(), min_size=2, timeout=30) as pool:
            await pool.wait()
            async with pool.connection(), pool.connection():
                waiters = [asyncio.create_task(_query(pool)) for _ in range(20)]
                queued = lambda: pool.get_stats()["requests_waiting"] == 20  # noqa: E731
                await _until("all wait", queued, seconds=10)
                for one in waiters[:15]:
                    one.cancel()
                await asyncio.wait(waiters[:15])
                with pytest.raises(PoolTimeout, match=r"after 0\.20 sec"):
                    await pool.getconn(timeout=0.2)
            await asyncio.gather(*waiters[15:])
            pool._state.doubt(1)  # those who come now wait for the successor
            waiters = [asyncio.create_task(_query(pool)) for _ in range(20)]
            await asyncio.sleep(0)
            for one in waiters:
                one.cancel()
            await asyncio.wait(waiters)
            await _until("a new lease", lambda: pool.lease()["generation"] == 2, seconds=20)
            whole = lambda: pool.get_stats()["pool_available"] == 2  # noqa: E731
            await _until("both are back", whole, seconds=20)
            assert pool._state._listeners == set()
            await asyncio.gather(*(_query(pool) for _ in range(10)))

    asyncio.run(drill())


def test_a_wrong_role_is_said_at_once_and_leaves_nothing(healthy: Servers) -> None:
    """What Vault refuses is raised by `wait`, and the pool is closed then."""

    async def drill() -> None:
        pool = AsyncLeaseAwarePool(healthy.target("no-such-role"), min_size=1, name="wrong")
        await pool.open()
        with pytest.raises(CredentialsRefused, match="no-such-role"):
            await pool.wait()
        assert pool.closed
        assert not [one for one in threading.enumerate() if one.name.startswith("wrong")]

    asyncio.run(drill())


def test_a_pool_whose_loop_is_gone_stops(healthy: Servers) -> None:
    """A pool that was never closed renews nothing for a loop that has ended."""
    role = healthy.role("brief", ttl=2, max_ttl=4)

    async def forget() -> AsyncLeaseAwarePool:
        pool = AsyncLeaseAwarePool(healthy.target(role), min_size=1, name="forgotten")
        await pool.open(wait=True)
        return pool

    pool = asyncio.run(forget())

    async def ended() -> None:
        alive = lambda: [one for one in threading.enumerate() if "forgotten" in one.name]  # noqa: E731
        await _until("the lease thread has ended", lambda: not alive(), seconds=30)

    with suppress(RuntimeError):  # psycopg_pool's own workers were cancelled with the loop
        asyncio.run(ended())
    assert not [one for one in threading.enumerate() if "forgotten" in one.name]
    assert pool.lease()["generation"] <= 2
