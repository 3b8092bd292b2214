"""`CredentialState`: which generation may be lent, and who waits for that to change.

The lease thread (`keeper.py`) changes it; threads and tasks that want a connection read it, say
that a credential was refused or doubt it, and wait. Each wait is written once, as a generator of
the seconds to wait for a change; `wait` runs it in a thread, `wait_async` on an event loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, TypeVar

import structlog

from loadtests.pools.breaker import Breaker
from loadtests.pools.errors import CredentialsRefused, CredentialsUnavailable
from loadtests.pools.generation import Counts, Generation

_LEND_PATIENCE_SECONDS = 1.0
_CONNECT_PATIENCE_SECONDS = 2.0
_NONE_LENT = (0, 0.0)

_Result = TypeVar("_Result")
Wait = Generator[float | None, None, _Result]
"""Yields how many seconds to wait for a change (None: as long as it takes), returns the result."""


class CredentialState:
    """What is known of one pool's credential. Nothing here does I/O or holds its lock for long, so
    an event loop may call all of it but `wait`."""

    def __init__(self, name: str, *, outage_grace: float = 3.0) -> None:
        self.name = name
        self.counts = Counts()
        self.closing = False
        self.current: Generation | None = None
        self.breaker = Breaker(outage_grace)
        self.changed = threading.Condition()
        self._dead = 0  # generations up to this number must not be used
        self._doubted = 0  # ... and up to this one a newer is wanted, but they may be
        self._doubted_at = 0.0
        # What each checkout asks, worked out at each change: the generation that may be lent and
        # until when, and until when nothing is wrong with it.
        self._lent = _NONE_LENT
        self._calm_until = 0.0
        self._listeners: set[Callable[[], None]] = set()
        self._log = structlog.get_logger("loadtests.pools").bind(pool=name)

    # What a checkout asks -----------------------------------------------------------------------

    @property
    def number(self) -> int:
        """The generation in use; 0 before the first."""
        current = self.current
        return current.number if current else 0

    def usable(self, number: int) -> bool:
        """Say whether a connection of generation `number` may be lent now."""
        lent, until = self._lent
        return number == lent and time.monotonic() < until

    def ready(self, now: float) -> bool:
        """Say whether all is well at `now`: neither dead, nor doubted, nor past the deadline."""
        return now < self._calm_until

    def admit(self) -> None:
        """Return if a request may go on to wait for a connection; else raise at once.

        Raises `CredentialsUnavailable` (or `CredentialsRefused`) when no generation may be used
        and the breaker is open.
        """
        if not self.may_use_current() and (problem := self.problem()) is not None:
            raise problem

    def problem(self) -> CredentialsUnavailable | None:
        """Return why requests are turned away, or None while they are admitted."""
        with self.changed:
            if self.may_use_current() or self.breaker.state == "closed":
                return None
            reason, refused = str(self.breaker.trouble), not self.breaker.unavailable
        kind = CredentialsRefused if refused else CredentialsUnavailable
        return kind(f"pool {self.name!r} has no credential it may use: {reason}")

    def refused(self, number: int) -> None:
        """Say that Postgres refused generation `number`: it is replaced, once."""
        with self.changed:
            if number > self._dead and number == self.number:
                self._dead = number
                self.counts.refusals += 1
                self._log.warning("credential refused by postgres", generation=number)
                self.tell()

    def doubt(self, number: int, why: str = "session terminated") -> None:
        """Say that a session of generation `number` was ended by an administrator, or `why` else
        its lease seems to be gone.

        That is how a revocation begins, and while it runs a new login may still succeed, only to
        lose its role a moment later. So the generation is replaced, without waiting for proof.
        """
        with self.changed:
            if number > self._doubted and number == self.number:
                self._doubted, self._doubted_at = number, time.monotonic()
                self._log.info(f"{why}: replacing the credential", generation=number)
                self.tell()

    def report(self) -> dict[str, Any]:
        """Return lease age and remaining seconds, generation, counts and breaker state."""
        with self.changed:
            current, now = self.current, time.monotonic()
            return {
                "generation": current.number if current else 0,
                "username": current.username if current else None,
                "lease_age_seconds": round(now - current.issued.asked_at, 3) if current else None,
                "lease_remaining_seconds": (round(current.deadline - now, 3) if current else None),
                "breaker": self.breaker.state,
                **vars(self.counts),
            }

    # Waits --------------------------------------------------------------------------------------

    def taking(self) -> Wait[Generation | None]:
        """Wait as long as it takes for the generation to connect with.

        A doubted one is waited out while Vault answers. Returns None once closing.
        """
        while not self.closing:
            comes_within = self._new_one_comes_within(_CONNECT_PATIENCE_SECONDS)
            if self.may_use_current() and comes_within <= 0:
                return self.current
            yield comes_within if comes_within > 0 else None
        return None

    def settling(self, timeout: float) -> Wait[None]:
        """Wait while the generation in use is doubted and its successor comes, for a second and
        for `timeout` seconds at most.

        The next of its sessions may be killed any moment: a statement sent now could be lost.
        """
        end = time.monotonic() + timeout
        while (comes_within := self._new_one_comes_within(_LEND_PATIENCE_SECONDS)) > 0:
            remains = end - time.monotonic()
            if self.closing or not self.may_use_current() or remains <= 0:
                return
            yield min(comes_within, remains)

    def obtaining(self, timeout: float) -> Wait[bool]:
        """Wait until a generation may be used. Raises what `admit` raises; returns False after
        `timeout` seconds, or when closing begins."""
        end = time.monotonic() + timeout
        while not self.may_use_current():
            if (problem := self.problem()) is not None:
                raise problem
            if self.closing or (remains := end - time.monotonic()) <= 0:
                return False
            yield min(remains, 0.5)  # the breaker opens with time, and tells nobody
        return True

    def pausing(self, seconds: float) -> Wait[bool]:
        """Wait for `seconds`, less when closing begins; return whether it has."""
        end = time.monotonic() + seconds
        while not self.closing and (remains := end - time.monotonic()) > 0:
            yield remains
        return self.closing

    def wait(self, wait: Wait[_Result]) -> _Result:
        """Run one of the waits above in this thread."""
        with self.changed:
            try:
                while True:
                    self.changed.wait(next(wait))
            except StopIteration as done:
                result: _Result = done.value
                return result

    async def wait_async(self, wait: Wait[_Result]) -> _Result:
        """Run one of the waits above on the event loop of this task. Cancelling leaves nothing."""
        loop = asyncio.get_running_loop()
        while True:
            woken = asyncio.Event()

            def wake(event: asyncio.Event = woken) -> None:
                with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
                    loop.call_soon_threadsafe(event.set)

            with self.changed:
                try:
                    seconds = next(wait)
                except StopIteration as done:
                    result: _Result = done.value
                    return result
                self._listeners.add(wake)
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await woken.wait()
            finally:
                with self.changed:
                    self._listeners.discard(wake)

    # What the lease thread does, under the lock ---------------------------------------------------

    def tell(self) -> None:
        """Work out what checkouts ask, and wake everybody who waits. The caller holds the lock."""
        current = self.current
        if current is None or current.number <= self._dead:
            self._lent, self._calm_until = _NONE_LENT, 0.0
        else:
            self._lent = (current.number, current.deadline)
            self._calm_until = 0.0 if current.number <= self._doubted else current.deadline
        self.changed.notify_all()
        for wake in self._listeners:
            wake()

    def may_use_current(self) -> bool:
        """Say whether there is a generation that may be lent now."""
        return self.usable(self.number)

    def wants_new(self) -> bool:
        """Say whether the generation in use is dead or doubted."""
        return self.number <= max(self._dead, self._doubted)

    def _new_one_comes_within(self, patience: float) -> float:
        """Return for how many seconds the successor of a doubted generation is worth waiting
        for; 0 when nothing is doubted, or Vault has failed since."""
        if not self.wants_new() or self.breaker.failures:
            return 0.0
        return max(0.0, self._doubted_at + patience - time.monotonic())
