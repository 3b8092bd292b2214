"""A fleet of lease clients without SQL: what N applications do to Vault under a renewal policy.

    python -m loadtests.fleet --clients 1000 --policy lifetime-watcher --seconds 120

All start at once, or within `--ramp`; each logs in, takes a lease, renews it, and takes another
when the policy or Vault says so. Prints one JSON object when the time is over, or after SIGTERM or
SIGINT, and then ends its logins, which ends its leases. With `LOADTESTS_REQUEST_LOG` each request
is logged there.

With `--control` it says `{"ready": true}` once every client holds a lease (`--idle`: at once, and
none has started yet), and obeys lines on stdin: `{"do": "restart"}` ends every client as a crash
would and starts all anew; the answer is `{"restarted": MONOTONIC_SECONDS}`. Two newcomers a second
log in, take a lease and go: how long they wait is what the fleet does to others.
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
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from typing import Any

from loadtests import requestlog
from loadtests.errors import LoadtestError
from loadtests.fleetclient import Book, Client, pass_by
from loadtests.fleetvault import FleetVault
from loadtests.logs import set_up
from loadtests.policies import POLICIES, LeaseAware
from loadtests.rates import peak
from loadtests.secrets import redact
from loadtests.target import Target
from loadtests.vault import Token, VaultError

CONNECTIONS = 200
"""Requests under way at once. Vault on two cores serves some 600 a second: more would only queue
there instead of here."""

_GIVE_BACK_SECONDS = 30.0
_NEWCOMERS_EVERY_SECONDS = 0.5


class FleetError(LoadtestError):
    """Raised when the fleet can't start: Vault refuses or can't be reached. The line says why."""


class Fleet:
    """`clients` clients of one target under one policy."""

    def __init__(
        self,
        target: Target,
        *,
        clients: int,
        policy: str,
        connections: int = CONNECTIONS,
        ramp: float = 0.0,
        log: requestlog.RequestLog | None = None,
    ) -> None:
        self.clients, self.policy, self.ramp = clients, policy, ramp
        self.book = Book(clients, log)
        self.counts = self.book.counts
        self._vault = FleetVault(target, connections=min(connections, clients))
        self._random = SystemRandom()
        self._all: list[Client] = []
        self._living: list[asyncio.Task[None]] = []
        self._passing: set[asyncio.Task[None]] = set()
        self._left_behind: list[Token] = []

    async def run(
        self,
        seconds: float | None,
        stop: asyncio.Event,
        *,
        idle: bool = False,
        newcomers: bool = False,
        ready: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Let them live for `seconds` s, or until `stop`; return the counts as they are printed.

        `ready` is called once every client holds its first lease; of an `idle` fleet, before any
        has started. Raises `FleetError` when the very first lease is refused; nothing is left
        behind then.
        """
        helpers: list[asyncio.Task[None]] = []
        try:
            await self._try_one()
            started = time.monotonic()
            if not idle:
                self._begin(self.ramp)
            helpers.append(asyncio.create_task(self._tell(ready, at_once=idle)))
            if newcomers:
                helpers.append(asyncio.create_task(self._invite()))
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await stop.wait()
            ended = time.monotonic()
            await self._end(helpers)
            await self._end(self._living)
            return self._report(started, ended - started)
        finally:
            await self._give_back(helpers)

    async def restart(self) -> float:
        """End every client as a crash would (nothing is given back), and start all at once.

        Returns when the last one had ended.
        """
        await self._end(self._living)
        self._left_behind += [client.token for client in self._all if client.token is not None]
        self.book.counts.holding = 0
        self.book.all_held.clear()
        at = time.monotonic()
        self._begin(0.0)
        return at

    def _begin(self, ramp: float) -> None:
        policy = POLICIES[self.policy]
        self._all = [
            Client(self._vault, policy(self._random), self.book) for _ in range(self.clients)
        ]
        self._living = [
            asyncio.create_task(client.live(number * ramp / self.clients))
            for number, client in enumerate(self._all)
        ]

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome  # none ends by itself: a defect of this program

    async def _tell(self, ready: Callable[[], None], *, at_once: bool) -> None:
        if not at_once:
            await self.book.all_held.wait()
        ready()
        await asyncio.Event().wait()

    async def _invite(self) -> None:
        while True:
            policy = LeaseAware(self._random)
            passing = asyncio.create_task(pass_by(self._vault, policy, self.book))
            self._passing.add(passing)
            passing.add_done_callback(self._passing.discard)
            await asyncio.sleep(_NEWCOMERS_EVERY_SECONDS)

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

    async def _give_back(self, helpers: list[asyncio.Task[None]]) -> None:
        async def end(token: Token) -> None:
            with suppress(VaultError):
                await self._vault.revoke_token(token)

        for task in (*helpers, *self._living, *self._passing):
            task.cancel()
        tokens = [client.token for client in self._all if client.token is not None]
        with suppress(TimeoutError):  # without Vault they end by themselves
            async with asyncio.timeout(_GIVE_BACK_SECONDS):
                await asyncio.gather(*self._passing, return_exceptions=True)
                await asyncio.gather(*(end(one) for one in (*tokens, *self._left_behind)))
        await self._vault.close()

    def _report(self, started: float, seconds: float) -> dict[str, Any]:
        counts, ttl = self.counts, self.book.ttl
        even = self.clients / ttl if ttl else 0.0
        busiest = peak(counts.renewals)
        delays = sorted(counts.issue_delays)
        return {
            "policy": self.policy,
            "clients": self.clients,
            "seconds": round(seconds, 3),
            "ttl_seconds": ttl,
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
            ramp=options.ramp,
            log=log,
        )
        if not options.control:
            return await fleet.run(options.seconds, stop)
        obeying = asyncio.create_task(_obey(fleet, stop))
        try:
            return await fleet.run(
                None, stop, idle=options.idle, newcomers=True, ready=lambda: _say({"ready": True})
            )
        finally:
            obeying.cancel()
    finally:
        if log is not None:
            log.close()


async def _obey(fleet: Fleet, stop: asyncio.Event) -> None:
    """Do what stdin says; its end is the end of the fleet."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while line := await reader.readline():
            if json.loads(line).get("do") == "restart":
                _say({"restarted": await fleet.restart()})
    except (ValueError, AttributeError) as error:
        sys.stderr.write(f"loadtests.fleet: stdin: {error}: a line of JSON is wanted\n")
    finally:
        stop.set()


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _zero_or_more(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: it must be 0 or more")
    return value


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
    parser.add_argument(
        "--ramp", type=_zero_or_more, default=0.0, help="seconds within which they start"
    )
    parser.add_argument("--control", action="store_true", help="obey stdin, until it ends")
    parser.add_argument("--idle", action="store_true", help="with --control: start none as yet")
    options = parser.parse_args(arguments)
    if options.idle and not options.control:
        parser.error("--idle needs --control: nothing else could start the clients")
    return options


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
