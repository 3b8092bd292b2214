"""A fleet of lease clients without SQL: what N applications do to Vault under a renewal policy.

    python -m loadtests.fleet --clients 1000 --policy lifetime-watcher --seconds 120

All start at once; each logs in, takes a lease, renews it, and takes another when the policy or
Vault says so. Prints one JSON object when the time is over, or after SIGTERM or SIGINT, and then
ends its logins, which ends its leases. With `LOADTESTS_REQUEST_LOG` each request is logged there.
Exit status: 0, or 2 with a line on stderr when the first login or lease is refused.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom
from typing import Any, ParamSpec, TypeVar

from loadtests import requestlog
from loadtests.errors import LoadtestError
from loadtests.fleetvault import FleetVault
from loadtests.logs import set_up
from loadtests.policies import POLICIES, Policy
from loadtests.rates import peak
from loadtests.secrets import redact
from loadtests.target import Target
from loadtests.vault import AuthRefused, Issued, LeaseGone, Token, VaultError, VaultUnavailable

CONNECTIONS = 200
"""Requests under way at once. Vault on two cores serves some 600 a second: more would only queue
there instead of here."""

_GIVE_BACK_SECONDS = 30.0
_Result = TypeVar("_Result")
_Given = ParamSpec("_Given")


class FleetError(LoadtestError):
    """Raised when the fleet can't start: Vault refuses or can't be reached. The line says why."""


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


class Client:
    """One application: a login and a lease, kept alive under a policy until it is cancelled."""

    def __init__(self, vault: FleetVault, policy: Policy, fleet: Fleet) -> None:
        self._vault, self._policy, self._fleet = vault, policy, fleet
        self.token: Token | None = None

    async def live(self) -> None:
        """Take a lease and keep it, for ever. A lease is lost when it ends before the client has
        its successor."""
        counts = self._fleet.counts
        lease = await self._take()
        counts.holding += 1
        if counts.holding == self._fleet.clients:
            counts.all_held_at = time.monotonic()
        while True:
            expires_at = await self._keep(lease)
            lease = await self._take()
            counts.rotations += 1
            counts.lost_leases += time.monotonic() > expires_at

    async def _take(self) -> Issued:
        """Issue, logging in where need be, until it works."""
        wanted_at, attempt = time.monotonic(), 0
        while True:
            try:
                if self.token is None or self._short(self.token):
                    self.token = await self._fleet.did("login", self._vault.login)
                issued = await self._fleet.did("issue", self._vault.issue, self.token)
            except VaultError as error:
                attempt += 1
                if isinstance(error, AuthRefused):
                    self.token = None
                await asyncio.sleep(self._pause(attempt, error))
            else:
                self._fleet.counts.issue_delays.append(time.monotonic() - wanted_at)
                self._fleet.ttl = issued.lease_seconds
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
                at, granted = await self._fleet.did(
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


class Fleet:
    """`clients` clients of one target under one policy."""

    def __init__(
        self,
        target: Target,
        *,
        clients: int,
        policy: str,
        connections: int = CONNECTIONS,
        log: requestlog.RequestLog | None = None,
    ) -> None:
        self.clients, self.policy = clients, policy
        self.counts = Counts()
        self.ttl = 0.0
        self._log = log
        self._vault = FleetVault(target, connections=min(connections, clients))
        random = SystemRandom()
        self._all = [Client(self._vault, POLICIES[policy](random), self) for _ in range(clients)]

    async def run(self, seconds: float, stop: asyncio.Event) -> dict[str, Any]:
        """Let them live for `seconds` s, or until `stop`; return the counts as they are printed.

        Raises `FleetError` when the very first lease is refused; nothing is left behind then.
        """
        try:
            await self._try_one()
            started = time.monotonic()
            living = [asyncio.create_task(one.live()) for one in self._all]
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await stop.wait()
            ended = time.monotonic()
            for one in living:
                one.cancel()
            for outcome in await asyncio.gather(*living, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome  # a client never ends by itself: a defect of this program
            return self._report(started, ended - started)
        finally:
            await self._give_back()

    async def did(
        self,
        op: str,
        call: Callable[_Given, Awaitable[_Result]],
        *given: _Given.args,
        **named: _Given.kwargs,
    ) -> _Result:
        """Do one request and count it, whatever comes of it."""
        start, problem = time.monotonic(), None
        getattr(self.counts, f"{op}s" if op != "renew" else "renewals").append(start)
        try:
            return await call(*given, **named)
        except VaultError as error:
            problem = error
            self.counts.failures[f"{op}: {type(error).__name__}"] += 1
            raise
        except asyncio.CancelledError:
            self.counts.unfinished[op] += 1
            raise
        finally:
            if self._log is not None:
                self._log.record(
                    start=start,
                    seconds=time.monotonic() - start,
                    op=op,
                    ok=problem is None,
                    error=type(problem).__name__ if problem else None,
                    status=problem.status if problem else None,
                )

    async def _try_one(self) -> None:
        """A thousand clients that are all refused would say nothing that one can't say."""
        try:
            token = await self._vault.login()
            try:
                await self._vault.issue(token)
            finally:
                await self._vault.revoke_token(token)
        except VaultError as error:
            raise FleetError(str(error)) from None

    async def _give_back(self) -> None:
        async def end(client: Client) -> None:
            if client.token is not None:
                with suppress(VaultError):
                    await self._vault.revoke_token(client.token)

        with suppress(TimeoutError):  # without Vault they end by themselves
            async with asyncio.timeout(_GIVE_BACK_SECONDS):
                await asyncio.gather(*(end(one) for one in self._all))
        await self._vault.close()

    def _report(self, started: float, seconds: float) -> dict[str, Any]:
        counts = self.counts
        even = self.clients / self.ttl if self.ttl else 0.0
        busiest = peak(counts.renewals)
        delays = sorted(counts.issue_delays)
        return {
            "policy": self.policy,
            "clients": self.clients,
            "seconds": round(seconds, 3),
            "ttl_seconds": self.ttl,
            "logins": len(counts.logins),
            "issues": len(counts.issues),
            "renewals": len(counts.renewals),
            "rotations": counts.rotations,
            "lost_leases": counts.lost_leases,
            "failures": dict(sorted(counts.failures.items())),
            "unfinished": dict(sorted(counts.unfinished.items())),
            "peak_renewals_per_second": busiest,
            "peak_issues_per_second": peak(counts.issues),
            "even_spread_per_second": round(even, 3),
            "peak_over_even_spread": round(busiest / even, 2) if even else None,
            "all_held_after_seconds": (
                round(counts.all_held_at - started, 3) if counts.all_held_at else None
            ),
            "issue_delay_seconds": {
                "median": round(statistics.median(delays), 4) if delays else None,
                "max": round(delays[-1], 4) if delays else None,
            },
        }


async def _main(options: argparse.Namespace, target: Target) -> dict[str, Any]:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    path = os.environ.get(requestlog.VARIABLE)
    log = requestlog.RequestLog(Path(path)) if path else None
    try:
        fleet = Fleet(
            target,
            clients=options.clients,
            policy=options.policy,
            connections=options.connections,
            log=log,
        )
        return await fleet.run(options.seconds, stop)
    finally:
        if log is not None:
            log.close()


def _above_zero(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: it must be above 0")
    return value


def _one_or_more(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: it must be 1 or more")
    return value


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.fleet", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--clients", type=_one_or_more, default=100, help="how many")
    parser.add_argument("--policy", choices=tuple(POLICIES), default="lease-aware")
    parser.add_argument("--seconds", type=_above_zero, default=60.0, help="how long they live")
    parser.add_argument(
        "--connections", type=_one_or_more, default=CONNECTIONS, help="requests under way at once"
    )
    return parser.parse_args(arguments)


def _raise_file_limit(files: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a fleet. Returns 0, or 2 when it could not start."""
    options = _options(arguments)
    set_up()
    _raise_file_limit(options.connections + 256)
    try:
        counts = asyncio.run(_main(options, Target.load()))
    except LoadtestError as error:
        sys.stderr.write(redact(f"loadtests.fleet: {error}\n"))
        return 2
    sys.stdout.write(json.dumps(counts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
