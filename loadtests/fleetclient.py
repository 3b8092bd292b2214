"""One client of a fleet, one that just passes by, and the book in which what they do is kept."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from loadtests.fleetvault import FleetVault
from loadtests.policies import Policy
from loadtests.requestlog import RequestLog
from loadtests.vault import AuthRefused, Issued, LeaseGone, Token, VaultError, VaultUnavailable

NEWCOMER = "newcomer"
"""`op` of a newcomer in the request log: from wanting a lease to having one, retries included."""

_GOODBYES = 60

_Result = TypeVar("_Result")
_Given = ParamSpec("_Given")


@dataclass
class Counts:
    """What the fleet did. Times are `time.monotonic()` at which a request was begun; failed
    requests count, they are load as well. `unfinished`: under way when the time was over."""

    renewals: list[float] = field(default_factory=list)
    issues: list[float] = field(default_factory=list)
    logins: list[float] = field(default_factory=list)
    issue_delays: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    unfinished: Counter[str] = field(default_factory=Counter)
    lost_leases: int = 0
    rotations: int = 0
    holding: int = 0
    all_held_at: float | None = None


class Book:
    """What a fleet did: the counts, and a line in the request log for each request."""

    def __init__(self, clients: int, log: RequestLog | None = None) -> None:
        self.clients = clients
        self.counts = Counts()
        self.ttl = 0.0
        self.all_held = asyncio.Event()
        self.log = log

    def holds(self) -> None:
        """Note that one more client has its first lease."""
        self.counts.holding += 1
        if self.counts.holding == self.clients:
            self.counts.all_held_at = time.monotonic()
            self.all_held.set()

    def line(self, op: str, start: float, problem: VaultError | None) -> None:
        """Log a request that was begun at `start` and has just ended."""
        if self.log is not None:
            self.log.record(
                start=start,
                seconds=time.monotonic() - start,
                op=op,
                ok=problem is None,
                error=type(problem).__name__ if problem else None,
                status=problem.status if problem else None,
            )

    async def did(
        self,
        op: str,
        call: Callable[_Given, Awaitable[_Result]],
        *given: _Given.args,
        **named: _Given.kwargs,
    ) -> _Result:
        """Do one request and count it, whatever comes of it."""
        start = time.monotonic()
        getattr(self.counts, f"{op}s" if op != "renew" else "renewals").append(start)
        try:
            result = await call(*given, **named)
        except VaultError as error:
            self.counts.failures[f"{op}: {type(error).__name__}"] += 1
            self.line(op, start, error)
            raise
        except asyncio.CancelledError:
            self.counts.unfinished[op] += 1  # nobody knows what became of it: not in the log
            raise
        self.line(op, start, None)
        return result


class Client:
    """One application: a login and a lease, kept alive under a policy until it is cancelled."""

    def __init__(self, vault: FleetVault, policy: Policy, book: Book) -> None:
        self._vault, self._policy, self._book = vault, policy, book
        self.token: Token | None = None

    async def live(self, delay: float = 0.0) -> None:
        """After `delay` s take a lease and keep it, for ever. A lease is lost when it ends before
        the client has its successor."""
        counts = self._book.counts
        await asyncio.sleep(delay)
        lease = await self._take()
        self._book.holds()
        while True:
            expires_at = await self._keep(lease)
            old, lease = lease, await self._take()
            counts.rotations += 1
            counts.lost_leases += time.monotonic() > expires_at
            if self._policy.gives_back and self.token is not None:
                with suppress(VaultError):  # it ends by itself
                    await self._vault.revoke(self.token, old.lease_id)

    async def _take(self) -> Issued:
        """Issue, logging in where need be, until it works."""
        wanted_at, attempt = time.monotonic(), 0
        while True:
            try:
                if self.token is None or self._short(self.token):
                    self.token = await self._book.did("login", self._vault.login)
                issued = await self._book.did("issue", self._vault.issue, self.token)
            except VaultError as error:
                attempt += 1
                if isinstance(error, AuthRefused):
                    self.token = None
                await asyncio.sleep(self._pause(attempt, error))
            else:
                self._book.counts.issue_delays.append(time.monotonic() - wanted_at)
                self._book.ttl = issued.lease_seconds
                return issued

    def _short(self, token: Token) -> bool:
        """A lease ends with its login: one with less than a tenth left would make a short lease."""
        return token.expires_at - time.monotonic() < max(1.0, token.ttl_seconds * 0.1)

    def _pause(self, attempt: int, error: VaultError) -> float:
        after = error.retry_after if isinstance(error, VaultUnavailable) else None
        return (after or 0.0) + self._policy.retry(attempt)

    async def _keep(self, lease: Issued) -> float:
        """Renew until another lease is needed; return when this one ends, or ended."""
        asked, attempt = lease.lease_seconds, 0
        expires_at = lease.asked_at + asked
        due = lease.asked_at + self._policy.first(asked)
        while lease.renewable:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if time.monotonic() >= expires_at:
                return expires_at
            assert self.token is not None  # noqa: S101 - it made the lease
            try:
                token = self.token = await self._stretched(self.token, asked)
                at, granted = await self._book.did(
                    "renew", self._vault.renew, token, lease.lease_id, asked
                )
            except LeaseGone:
                return time.monotonic()  # revoked: whatever Vault said when it granted it
            except AuthRefused:
                self.token = None  # and the leases went with it
                return time.monotonic()
            except VaultError as error:
                attempt += 1
                due = min(time.monotonic() + self._pause(attempt, error), expires_at)
                continue
            attempt = 0
            expires_at = min(at + granted, token.expires_at)
            if self._policy.rotates(asked, granted):
                return expires_at
            due = at + self._policy.next(granted)
        await asyncio.sleep(max(0.0, expires_at - 0.1 * asked - time.monotonic()))
        return expires_at

    async def _stretched(self, token: Token, seconds: float) -> Token:
        """Renew the login where it would end before the lease does."""
        if token.renewable and token.expires_at - time.monotonic() < 2 * seconds:
            with suppress(VaultUnavailable):  # the renewal of the lease meets that too
                return await self._vault.renew_token(token)
        return token


async def pass_by(vault: FleetVault, policy: Policy, book: Book) -> None:
    """Do what an application does that starts just now: log in, take a lease, and go at once.

    How long it had to wait for its lease is logged as one request, `newcomer`. It counts in no
    figure of the fleet.
    """
    wanted_at, attempt = time.monotonic(), 0
    token: Token | None = None
    served: VaultError | None = VaultUnavailable("the time was over")
    try:
        while True:
            try:
                token = token or await vault.login()
                await vault.issue(token)
                served = None
                break
            except AuthRefused as error:
                token, served = None, error
            except VaultError as error:
                served = error
            attempt += 1
            await asyncio.sleep(policy.retry(attempt))
    finally:
        book.line(NEWCOMER, wanted_at, served)
        if token is not None:
            await _log_out(vault, token, policy)


async def _log_out(vault: FleetVault, token: Token, policy: Policy) -> None:
    """End the login, in an outage a while later: what is left behind looks like a lost lease."""
    for attempt in range(1, _GOODBYES + 1):
        try:
            await vault.revoke_token(token)
        except VaultError:
            await asyncio.sleep(policy.retry(attempt))
        else:
            return
