"""`SessionOpener`: opens sessions with the lease in use, whatever pool they are for.

It joins a `CredentialState` and its `LeaseKeeper` to Postgres: connects as the current generation,
tells a refused credential from every other trouble, verifies a new generation, and knows how many
sessions each has left.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from random import SystemRandom
from typing import Any, TypeVar
from weakref import WeakSet

import psycopg
from psycopg_pool import PoolClosed

from loadtests.pools import renewal
from loadtests.pools.errors import ConnectFailed, CredentialsUnavailable
from loadtests.pools.generation import Generation, Refused
from loadtests.pools.keeper import LeaseKeeper
from loadtests.pools.postgres import connect_arguments, credential_refused, too_many_connections
from loadtests.pools.sessions import AsyncLeasedConnection, LeasedConnection, LeasedSession
from loadtests.pools.state import CredentialState
from loadtests.secrets import redact
from loadtests.target import Target
from loadtests.vault import VaultClient

_VERIFY_SECONDS = 3.0

_Session = TypeVar("_Session", bound=LeasedSession)
_Connection = TypeVar("_Connection", bound=LeasedConnection)
_AsyncConnection = TypeVar("_AsyncConnection", bound=AsyncLeasedConnection)


class SessionOpener:
    """What every lease-aware pool is made of. `adopted` and `gave_up` are called in the lease
    thread, after a new generation was adopted and when requests are turned away from now on."""

    def __init__(
        self,
        target: Target,
        *,
        name: str,
        adopted: Callable[[], None],
        gave_up: Callable[[CredentialsUnavailable], None],
        outage_grace: float,
        max_ttl: float | None,
        kwargs: dict[str, Any] | None,
        vault: VaultClient | None,
    ) -> None:
        self.state = CredentialState(name, outage_grace=outage_grace)
        self.trouble: str | None = None
        """Why the latest connect failed, where it was not for the credential."""
        self.keeper = LeaseKeeper(
            vault or VaultClient(target),
            self.state,
            verify=self._verify,
            adopted=lambda _generation: adopted(),
            gave_up=gave_up,
            sessions=self.sessions_of,
            max_ttl=max_ttl,
        )
        self._arguments = {
            **connect_arguments(target.postgres, application_name=name),
            **(kwargs or {}),
        }
        self._random = SystemRandom()
        self._sessions: WeakSet[LeasedSession] = WeakSet()
        self._registry = threading.Lock()  # a WeakSet must not grow while it is walked through

    def open(self, cls: type[_Connection], conninfo: str = "") -> _Connection:
        """Connect with the current generation, however long it takes to have one.

        Raises `PoolClosed` once closing.
        """
        attempt = 0
        while (generation := self.state.wait(self.state.taking())) is not None:
            try:
                session = self.connect(cls, conninfo, generation)
            except Refused:
                # one refresh, then another try; whoever sees it first starts the refresh
                self.state.refused(generation.number)
            except ConnectFailed:
                attempt += 1
                self.state.wait(self.state.pausing(renewal.backoff(attempt, self._random)))
            else:
                if self.admitted(session):
                    return session
                session.close()
        raise PoolClosed(f"the pool {self.state.name!r} is closed")

    async def open_async(self, cls: type[_AsyncConnection], conninfo: str = "") -> _AsyncConnection:
        """As `open`, on an event loop."""
        attempt, state = 0, self.state
        while (generation := await state.wait_async(state.taking())) is not None:
            try:
                session = await cls.connect(conninfo, **self._login(generation))
            except psycopg.OperationalError as error:
                failed = self._translate(error)
            else:
                session.generation = generation.number
                if self.admitted(session):
                    return session
                await session.close()
                continue
            if isinstance(failed, Refused):
                state.refused(generation.number)
            else:
                attempt += 1
                await state.wait_async(state.pausing(renewal.backoff(attempt, self._random)))
        raise PoolClosed(f"the pool {state.name!r} is closed")

    def connect(
        self, cls: type[_Connection], conninfo: str, generation: Generation, **more: Any
    ) -> _Connection:
        """Connect once. Raises `Refused`, or `ConnectFailed` for every other reason.

        psycopg's own error is dropped: its `pgconn` shows the password in its repr.
        """
        try:
            session = cls.connect(conninfo, **{**self._login(generation), **more})
        except psycopg.OperationalError as error:
            failed = self._translate(error)
        else:
            session.generation = generation.number
            return session
        raise failed

    def admitted(self, session: LeasedSession) -> bool:
        """Note a session that was just opened; say whether its generation may still be lent."""
        if not self.state.usable(session.generation):
            return False
        with self._registry:
            self._sessions.add(session)
        self.trouble = None
        return True

    def holds(self, session: LeasedSession) -> bool:
        """Say whether it was opened here."""
        with self._registry:
            return session in self._sessions

    def sessions(self) -> list[LeasedSession]:
        """Return the sessions that are open."""
        with self._registry:
            return [session for session in self._sessions if not session.closed]

    def sessions_of(self, generation: int) -> int:
        """Return how many sessions of a generation are open."""
        return sum(1 for session in self.sessions() if session.generation == generation)

    def _login(self, generation: Generation) -> dict[str, Any]:
        issued = generation.issued
        return {**self._arguments, "user": issued.username, "password": issued.password}

    def _translate(self, error: psycopg.OperationalError) -> Refused | ConnectFailed:
        reason = redact(str(error))
        if credential_refused(error) and not too_many_connections(error):
            return Refused(f"postgres refused a credential: {reason}")
        self.trouble = reason
        return ConnectFailed(reason)

    def _verify(self, generation: Generation) -> None:
        """Open and close a connection with a new generation, before it is adopted.

        Raises `Refused`. Where Postgres can't be reached for 3 s, says nothing: the credential
        is not at fault.
        """
        end, attempt = time.monotonic() + _VERIFY_SECONDS, 0
        while time.monotonic() < end:
            try:
                self.connect(LeasedConnection, "", generation).close()
            except ConnectFailed:
                attempt += 1
                pause = renewal.backoff(attempt, self._random)
                if self.state.wait(self.state.pausing(pause)):
                    return
            else:
                return
