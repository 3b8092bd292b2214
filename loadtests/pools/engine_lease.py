"""`use_lease`: gives an SQLAlchemy engine the lease sense of `LeaseAwarePool`.

>>> engine = create_engine("postgresql+psycopg://db.example/orders")
>>> lease = use_lease(engine, target)
>>> with engine.connect() as connection: ...
>>> engine.dispose()  # gives the lease back
"""

from __future__ import annotations

import os
import threading
import time
from random import SystemRandom
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

from loadtests.pools import renewal
from loadtests.pools.errors import ConnectFailed, CredentialsUnavailable
from loadtests.pools.generation import Refused
from loadtests.pools.opener import SessionOpener
from loadtests.pools.sessions import ADMIN_SHUTDOWN, LeasedConnection
from loadtests.target import Target
from loadtests.vault import VaultClient

_CLOSE_SECONDS = 5.0
_NOT_OURS = {"user", "password"}


class EngineLease:
    """One lease for all connections of one engine; made by `use_lease`.

    It begins with the engine's first connect and ends with `engine.dispose()`, which gives it back;
    a statement that still runs then is ended with it. An engine that connects again after that
    takes another. `dispose(close=False)` in a forked child leaves the parent's lease alone.

    Connects and checkouts raise `CredentialsUnavailable` or `CredentialsRefused`, and connects
    `ConnectFailed` after `timeout` seconds; `Engine.connect` wraps them in SQLAlchemy's
    `OperationalError`, whose `orig` they are.
    """

    def __init__(
        self,
        engine: Engine,
        target: Target,
        *,
        timeout: float,
        outage_grace: float,
        max_ttl: float | None,
        vault: VaultClient | None,
    ) -> None:
        self._name = engine.logging_name or f"engine-{engine.url.database or target.role}"
        self._target, self._vault = target, vault
        self._timeout, self._outage_grace, self._max_ttl = timeout, outage_grace, max_ttl
        self._random = SystemRandom()
        self._lock = threading.Lock()
        self._pid = 0
        self._opener: SessionOpener | None = None
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "checkout", self._checkout)
        event.listen(engine, "checkin", self._checkin)
        event.listen(engine, "invalidate", self._invalidate)
        event.listen(engine, "engine_disposed", self._disposed)

    def lease(self) -> dict[str, Any]:
        """Return lease age and remaining seconds, generation, counts and breaker state; empty
        before the first connect."""
        opener = self._opener
        return opener.state.report() if opener else {}

    # What SQLAlchemy calls ----------------------------------------------------------------------

    def _connect(
        self, _dialect: Any, _record: Any, arguments: Any, keywords: dict[str, Any]
    ) -> LeasedConnection:
        """Connect as the current generation, waiting for one where there is none yet."""
        opener, end, attempt = self._begun(), time.monotonic() + self._timeout, 0
        state = opener.state
        conninfo = arguments[0] if arguments else ""
        given = {key: value for key, value in keywords.items() if key not in _NOT_OURS}
        while True:
            remains = end - time.monotonic()
            state.wait(state.settling(remains))
            if not state.wait(state.obtaining(remains)):
                raise CredentialsUnavailable(
                    f"engine {self._name!r} got no credential within {self._timeout:g} s"
                )
            if (generation := state.current) is None:
                continue
            try:
                session = opener.connect(LeasedConnection, conninfo, generation, **given)
            except Refused:
                state.refused(generation.number)
            except ConnectFailed:
                attempt += 1
                pause = renewal.backoff(attempt, self._random)
                if time.monotonic() + pause >= end:
                    raise
                state.wait(state.pausing(pause))
            else:
                if opener.admitted(session):
                    session.fresh = True
                    return session
                session.close()

    def _checkout(self, session: object, _record: Any, _lent: Any) -> None:
        """Lend a live connection of the current lease; `DisconnectionError` has it replaced."""
        state = self._begun().state
        if not state.ready(time.monotonic()):
            state.admit()
            state.wait(state.settling(self._timeout))
        if not isinstance(session, LeasedConnection):
            raise DisconnectionError("it was opened before the engine had a lease")
        with self._lock:  # from now on the lease thread leaves it open
            session.lent = True
        # One that was opened a moment ago is lent as it is: SQLAlchemy replaces twice at most.
        fresh, session.fresh = session.fresh, False
        if not fresh and not (state.usable(session.generation) and session.alive()):
            raise DisconnectionError("its lease or its session has ended")

    def _checkin(self, session: object, _record: Any) -> None:
        if not isinstance(session, LeasedConnection):  # None: it was invalidated
            return
        opener = self._doubt(session)
        with self._lock:
            session.lent = False
            if opener is None or not opener.state.usable(session.generation):
                session.close()  # the next checkout replaces it; its role can go now

    def _invalidate(self, session: object, _record: Any, error: BaseException | None) -> None:
        if isinstance(session, LeasedConnection):
            session.note(error)
            self._doubt(session)

    def _doubt(self, session: LeasedConnection) -> SessionOpener | None:
        """Have the lease replaced if an administrator ended `session`; return whose it is, None
        when the engine was disposed of since."""
        opener = self._opener
        if opener is None or not opener.holds(session):
            return None
        if session.ended_by == ADMIN_SHUTDOWN:
            opener.state.doubt(session.generation)
        return opener

    def _disposed(self, _engine: Engine) -> None:
        with self._lock:
            opener, self._opener = self._opener, None
        if opener is not None and self._pid == os.getpid():
            opener.keeper.close(_CLOSE_SECONDS)

    # What the lease thread calls ----------------------------------------------------------------

    def _adopted(self) -> None:
        """Close what lies idle with an older lease, so that its role can go."""
        if (opener := self._opener) is None:
            return
        for session in opener.sessions():
            with self._lock:
                idle = not (session.lent or session.fresh)
                if idle and session.generation < opener.state.number:
                    session.pgconn.finish()

    def _begun(self) -> SessionOpener:
        with self._lock:
            if self._opener is None:
                self._opener = SessionOpener(
                    self._target,
                    name=self._name,
                    adopted=self._adopted,
                    gave_up=lambda _problem: None,  # who waits asks for it, or times out
                    outage_grace=self._outage_grace,
                    max_ttl=self._max_ttl,
                    kwargs=None,
                    vault=self._vault,
                )
                self._pid = os.getpid()
                self._opener.keeper.start()
            return self._opener


def use_lease(
    engine: Engine,
    target: Target,
    *,
    timeout: float = 30.0,
    outage_grace: float = 3.0,
    max_ttl: float | None = None,
    vault: VaultClient | None = None,
) -> EngineLease:
    """Make `engine` connect with a lease of `target`'s role, and lend no connection beyond it.

    Where the engine's URL and `connect_args` say nothing of host, database or TLS, `target` does;
    a user or password there is not used. `timeout`: seconds that a connect or a checkout waits for
    a credential; the engine's own `pool_timeout` is that for a free connection. The rest as for
    `LeaseAwarePool`. `pool_pre_ping` is not needed. Raises `ValueError` for another driver than
    psycopg 3, and for an asyncio engine.
    """
    if engine.dialect.driver != "psycopg" or engine.dialect.is_async:
        raise ValueError(
            f"the engine's driver is {engine.dialect.driver}"
            f"{' (asyncio)' if engine.dialect.is_async else ''}: make it from a URL that begins "
            "with postgresql+psycopg://"
        )
    return EngineLease(
        engine,
        target,
        timeout=timeout,
        outage_grace=outage_grace,
        max_ttl=max_ttl,
        vault=vault,
    )
