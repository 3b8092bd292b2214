"""`AsyncLeaseAwarePool`: psycopg_pool's `AsyncConnectionPool` on a dynamic role of Vault.

The asyncio twin of `LeaseAwarePool`, on the same lease thread and the same state: the event loop
never waits for Vault, and never for a lock that is held during I/O.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from psycopg_pool import AsyncConnectionPool, PoolTimeout

from loadtests.pools.errors import ConnectFailed, CredentialsUnavailable
from loadtests.pools.opener import SessionOpener
from loadtests.pools.sessions import ADMIN_SHUTDOWN, AsyncLeasedConnection
from loadtests.target import Target
from loadtests.vault import VaultClient


class AsyncLeaseAwarePool(AsyncConnectionPool[AsyncLeasedConnection]):
    """A pool whose connections live and die with a lease, for asyncio.

    Behaves and fails as `LeaseAwarePool` does. Close it before its event loop ends: when it finds
    the loop gone, the lease thread stops, and its leases are left to end by themselves.
    """

    _opener: SessionOpener

    def __init__(
        self,
        target: Target,
        *,
        min_size: int = 4,
        max_size: int | None = None,
        name: str | None = None,
        timeout: float = 30.0,
        outage_grace: float = 3.0,
        max_ttl: float | None = None,
        kwargs: dict[str, Any] | None = None,
        vault: VaultClient | None = None,
        **pool_arguments: Any,
    ) -> None:
        """Make a pool; `await open()`, or `async with`, starts it. Arguments are those of
        `LeaseAwarePool`."""
        super().__init__(
            connection_class=AsyncLeasedConnection,
            kwargs=lambda: {"opener": self._opener.open_async},
            min_size=min_size,
            max_size=max_size,
            open=False,
            name=name,
            timeout=timeout,
            **pool_arguments,
        )
        self._opener = SessionOpener(
            target,
            name=self.name,
            adopted=lambda: self._on_loop(self.drain),
            gave_up=lambda problem: self._on_loop(lambda: self._fail_waiting(problem)),
            outage_grace=outage_grace,
            max_ttl=max_ttl,
            kwargs=kwargs,
            vault=vault,
        )
        self._state = self._opener.state
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    # What an application calls ----------------------------------------------------------------

    async def open(self, wait: bool = False, timeout: float = 30.0) -> None:
        """Start: log in, take a lease and connect, in the background; see `wait`."""
        if self._closed and self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._opener.keeper.start()
        await super().open()
        if wait:
            await self.wait(timeout)

    async def wait(self, timeout: float = 30.0) -> None:
        """Wait for `min_size` connections.

        Raises `CredentialsUnavailable` or `CredentialsRefused` as soon as Vault's answer is
        clear, `ConnectFailed` or `PoolTimeout` after `timeout` seconds. The pool is closed then,
        and what it held is given back.
        """
        self._check_open_getconn()
        end = time.monotonic() + timeout
        late = PoolTimeout(f"pool initialization incomplete after {timeout} sec")
        try:
            if not await self._state.wait_async(self._state.obtaining(timeout)):
                raise late
            await super().wait(max(0.0, end - time.monotonic()))
        except PoolTimeout:
            await self.close()
            if self._opener.trouble:
                raise ConnectFailed(self._opener.trouble) from None
            raise late from None
        except CredentialsUnavailable:
            await self.close()
            raise

    async def getconn(self, timeout: float | None = None) -> AsyncLeasedConnection:
        """Lend a live connection of the current lease.

        Raises `CredentialsUnavailable` at once while there is no usable credential and Vault
        gives none, else `PoolTimeout` after `timeout` seconds.
        """
        timeout = self.timeout if timeout is None else timeout
        state, now = self._state, time.monotonic()
        end = now + timeout
        while True:
            if not (state.ready(now) or self._closed):
                state.admit()
                await state.wait_async(state.settling(end - now))
                now = time.monotonic()
            try:
                connection = await super().getconn(end - now)
            except PoolTimeout:
                raise (
                    state.problem()
                    or PoolTimeout(f"couldn't get a connection after {timeout:.2f} sec")
                ) from None
            if state.usable(connection.generation) and connection.alive():
                return connection
            connection.pgconn.finish()
            await self.putconn(connection)
            now = time.monotonic()

    async def putconn(self, conn: AsyncLeasedConnection) -> None:
        """Take a connection back, as psycopg_pool does."""
        if conn.ended_by == ADMIN_SHUTDOWN:
            self._state.doubt(conn.generation)
        await super().putconn(conn)

    async def close(self, timeout: float = 5.0) -> None:
        """Close connections, then revoke the leases and the login.

        Takes up to `timeout` seconds for each of the two; without Vault the leases are left to
        end by themselves. A second call does nothing.
        """
        if self._closed:
            return
        self._opener.keeper.stop()
        try:
            await super().close(timeout)
        finally:  # whoever cancels a close still wants the leases given back
            await asyncio.to_thread(self._opener.keeper.close, timeout)

    def lease(self) -> dict[str, Any]:
        """Return lease age and remaining seconds, generation, counts and breaker state."""
        return self._state.report()

    # What the lease thread calls --------------------------------------------------------------

    def _on_loop(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        def begin() -> None:
            task = loop.create_task(act(), name=f"{self.name}-lease")
            self._under_way.add(task)  # the loop itself keeps no reference
            task.add_done_callback(self._under_way.discard)

        assert self._loop is not None  # noqa: S101 - set before the thread starts
        loop = self._loop
        try:
            loop.call_soon_threadsafe(begin)
        except RuntimeError:  # the loop is closed
            self._opener.keeper.stop()

    async def _fail_waiting(self, problem: CredentialsUnavailable) -> None:
        """Turn away those who wait for a connection that will not come."""
        async with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
        for client in waiting:
            await client.fail(type(problem)(str(problem)))
