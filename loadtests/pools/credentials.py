"""`LeasedCredentials`: one dynamic role at a time, kept alive by one thread.

That thread alone talks to Vault, so there is one issuance at a time however many threads notice
that a credential is dead. Everybody else reads the current generation, says that it was refused
or doubts it, and waits.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from random import Random, SystemRandom
from typing import Any

import structlog

from loadtests.pools import renewal
from loadtests.pools.breaker import Breaker
from loadtests.pools.errors import CredentialsRefused, CredentialsUnavailable
from loadtests.pools.generation import Counts, Generation, Refused
from loadtests.pools.login import Login
from loadtests.pools.renewal import Lease, Step, TokenBucket, Trouble
from loadtests.pools.retired import Retired
from loadtests.secrets import redact
from loadtests.vault import (
    AuthRefused,
    Issued,
    LeaseGone,
    Token,
    VaultClient,
    VaultError,
    VaultUnavailable,
)

_LONG = 3600.0
_RETIRE_POLL_SECONDS = 0.2
_LEND_PATIENCE_SECONDS = 1.0
_CONNECT_PATIENCE_SECONDS = 2.0


class LeasedCredentials:
    """Keeps one credential of the target's role usable.

    `verify` opens a connection with a new generation before it is adopted, `adopted` is called
    after (to drain the old one), `sessions` says how many connections of a generation are left:
    its lease is revoked when there are none.
    """

    def __init__(
        self,
        vault: VaultClient,
        *,
        name: str,
        verify: Callable[[Generation], None],
        adopted: Callable[[Generation], None],
        gave_up: Callable[[CredentialsUnavailable], None],
        sessions: Callable[[int], int],
        outage_grace: float = 3.0,
        max_ttl: float | None = None,
        random: Random | None = None,
    ) -> None:
        self.name = name
        self.counts = Counts()
        self._vault = vault
        self._verify, self._adopted, self._gave_up = verify, adopted, gave_up
        self._login = Login(vault, self.counts)
        self._retired = Retired(vault, self._login, self.counts, name=name, sessions=sessions)
        self._breaker = Breaker(outage_grace)
        self._max_ttl = max_ttl
        self._random = random or SystemRandom()
        self._bucket = TokenBucket()
        self._changed = threading.Condition()
        self._current: Generation | None = None
        self._dead = 0  # generations up to this number must not be used
        self._doubted = 0  # ... and up to this one a newer is wanted, but they may be
        self._doubted_at = 0.0
        self._number = 0
        self._closing = False
        self._renew_at = self._not_before = 0.0
        self._log = structlog.get_logger("loadtests.pools").bind(pool=name)
        self._thread = threading.Thread(target=self._run, name=f"{name}-lease", daemon=True)

    # What other threads call ------------------------------------------------------------------

    def start(self) -> None:
        """Begin: log in and take the first credential, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Let go of everybody who waits, and take no new credential."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def close(self, timeout: float = 5.0) -> None:
        """Stop, give back every lease and the login; call it when the sessions are closed.

        After `timeout` seconds, or without Vault, the leases are left to end by themselves.
        """
        self.stop()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        if not self._thread.is_alive():
            self._current, last = None, self._current
            self._retired.give_back(last)
        self._vault.close()

    @property
    def number(self) -> int:
        """The generation in use; 0 before the first."""
        current = self._current
        return current.number if current else 0

    def usable(self, number: int) -> bool:
        """Say whether a connection of generation `number` may be lent now."""
        current = self._current
        return (
            current is not None
            and current.number == number
            and number > self._dead
            and time.monotonic() < current.deadline
        )

    def ready(self) -> bool:
        """Say whether all is well: neither dead, nor doubted, nor past the deadline."""
        current = self._current
        return (
            current is not None
            and current.number > self._dead
            and current.number > self._doubted
            and time.monotonic() < current.deadline
        )

    def admit(self) -> None:
        """Return if a request may go on to wait for a connection; else raise at once.

        Raises `CredentialsUnavailable` (or `CredentialsRefused`) when no generation may be used
        and the breaker is open.
        """
        current = self._current
        if current is not None and self.usable(current.number):
            return
        if (problem := self.problem()) is not None:
            raise problem

    def problem(self) -> CredentialsUnavailable | None:
        """Return why requests are turned away, or None while they are admitted."""
        with self._changed:
            if self._may_use_current() or self._breaker.state == "closed":
                return None
            reason, refused = str(self._breaker.trouble), not self._breaker.unavailable
        kind = CredentialsRefused if refused else CredentialsUnavailable
        return kind(f"pool {self.name!r} has no credential it may use: {reason}")

    def take(self) -> Generation | None:
        """Return the generation to connect with, waiting as long as it takes for a usable one.

        A doubted one is waited out while Vault answers. Returns None once closing.
        """
        with self._changed:
            while not self._closing:
                comes_within = self._new_one_comes_within(_CONNECT_PATIENCE_SECONDS)
                if self._may_use_current() and comes_within <= 0:
                    return self._current
                self._changed.wait(comes_within if comes_within > 0 else None)
            return None

    def refused(self, number: int) -> None:
        """Say that Postgres refused generation `number`: it is replaced, once."""
        with self._changed:
            if number > self._dead and number == self.number:
                self._dead = number
                self.counts.refusals += 1
                self._log.warning("credential refused by postgres", generation=number)
                self._changed.notify_all()

    def doubt(self, number: int) -> None:
        """Say that a session of generation `number` was ended by an administrator.

        That is how a revocation begins, and while it runs a new login may still succeed, only to
        lose its role a moment later. So the generation is replaced, without waiting for proof.
        """
        with self._changed:
            if number > self._doubted and number == self.number:
                self._doubted, self._doubted_at = number, time.monotonic()
                self._log.info("session terminated: replacing the credential", generation=number)
                self._changed.notify_all()

    def settle(self, timeout: float) -> None:
        """Wait while the generation in use is doubted and its successor comes, for a second and
        for `timeout` seconds at most.

        The next of its sessions may be killed any moment: a statement sent now could be lost.
        """
        if self.number > self._doubted:
            return
        end = time.monotonic() + timeout
        with self._changed:
            while (wait := self._new_one_comes_within(_LEND_PATIENCE_SECONDS)) > 0:
                remains = end - time.monotonic()
                if self._closing or not self._may_use_current() or remains <= 0:
                    return
                self._changed.wait(min(wait, remains))

    def wait_first(self, timeout: float) -> bool:
        """Wait for the first generation. Raises what `admit` raises; False after `timeout` s."""
        end = time.monotonic() + timeout
        with self._changed:
            while self._current is None and not self._closing:
                if (problem := self.problem()) is not None:
                    raise problem
                if (remains := end - time.monotonic()) <= 0:
                    return False
                self._changed.wait(min(remains, 0.5))
            return True

    def wait_closing(self, seconds: float) -> bool:
        """Sleep for `seconds`, less when closing begins; say whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closing, seconds)

    def report(self) -> dict[str, Any]:
        """Return lease age and remaining seconds, generation, counts and breaker state."""
        with self._changed:
            current, now = self._current, time.monotonic()
            return {
                "generation": current.number if current else 0,
                "username": current.username if current else None,
                "lease_age_seconds": round(now - current.issued.asked_at, 3) if current else None,
                "lease_remaining_seconds": (round(current.deadline - now, 3) if current else None),
                "breaker": self._breaker.state,
                **vars(self.counts),
            }

    # State, under the lock --------------------------------------------------------------------

    def _may_use_current(self) -> bool:
        return self._current is not None and self.usable(self._current.number)

    def _wants_new(self) -> bool:
        return self.number <= max(self._dead, self._doubted)

    def _new_one_comes_within(self, patience: float) -> float:
        """Return for how many seconds the successor of a doubted generation is worth waiting
        for; 0 when nothing is doubted, or Vault has failed since."""
        if not self._wants_new() or self._breaker.failures:
            return 0.0
        return max(0.0, self._doubted_at + patience - time.monotonic())

    # The thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        wait = 0.0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._needs_new(), wait)
                if self._closing:
                    return
            try:
                wait = self._step()
            except Exception:  # noqa: BLE001
                # Whatever it is, a pool without this thread would die at the end of its lease.
                # Not `exception`: structlog's default prints locals, and those hold secrets.
                self._log.error("lease thread goes on", traceback=redact(traceback.format_exc()))
                wait = 1.0

    def _needs_new(self) -> bool:
        return self._wants_new() and time.monotonic() >= self._not_before

    def _step(self) -> float:
        """Do what is due, and return the seconds until something may be due again."""
        now = time.monotonic()
        current = self._current
        if current is None or self._needs_new() or now >= current.deadline:
            if now >= self._not_before:
                self._replace()
        elif now >= self._renew_at:
            self._renew(current)
        else:
            self._retired.revoke_unused(current)  # only when nobody waits for a credential
        return self._seconds_to_next()

    def _seconds_to_next(self) -> float:
        now = time.monotonic()
        current = self._current
        if current is None or self._wants_new() or now >= current.deadline:
            due = self._not_before
        else:
            due = min(self._renew_at, current.deadline)
        wait = max(0.0, min(due - now, _LONG))
        return min(wait, _RETIRE_POLL_SECONDS) if self._retired else wait

    def _renew(self, current: Generation) -> None:
        if not current.issued.renewable:
            self._replace()
            return
        try:
            self._login.stretch(current.token, 2 * current.issued.lease_seconds)
            asked_at, granted = self._vault.renew(
                current.token, current.issued.lease_id, current.issued.lease_seconds
            )
        except VaultError as error:
            self._renewal_failed(current, error)
            return
        self.counts.renewals += 1
        self._succeeded()
        renewed = self._generation(
            current.number, current.issued, current.token, asked_at=asked_at, seconds=granted
        )
        with self._changed:
            self._current = renewed
            self._changed.notify_all()
        by_token = renewed.lease.token_expires_at < asked_at + granted
        if (
            renewal.truncated(current.issued.lease_seconds, granted)
            or renewed.lease.max_ttl_expires_at < asked_at + granted
            # a file's token is somebody else's to replace: asking again would get the same
            or (by_token and current.token.ours)
        ):
            self._log.info("renewal truncated: rotating", generation=current.number)
            self._replace(login=by_token)
            return
        self._renew_at = renewal.renewal_time(renewed.lease, self._random, fresh=False)

    def _renewal_failed(self, current: Generation, error: VaultError) -> None:
        self.counts.renewal_failures += 1
        trouble = Trouble.UNAVAILABLE
        if isinstance(error, LeaseGone):
            trouble = Trouble.LEASE_GONE
        elif isinstance(error, AuthRefused):
            trouble = Trouble.AUTH_REFUSED
        self._log.warning("renewal failed", generation=current.number, reason=str(error))
        now = time.monotonic()
        step = renewal.after_failed_renewal(trouble, current.lease, now)
        if step is not Step.RETRY:
            if trouble is Trouble.LEASE_GONE:
                with self._changed:
                    self._doubted, self._doubted_at = current.number, now
            self._replace(login=step is Step.LOGIN_AND_REPLACE)
            return
        self._failed(error)
        tries, after = self._breaker.failures, _retry_after(error)
        again = renewal.retry_time(current.lease, now, tries, self._random, retry_after=after)
        self._renew_at = current.deadline if again is None else again

    def _replace(self, *, login: bool = False) -> None:
        """Issue, verify and adopt a new generation; on failure set when to try again."""
        if (wait := self._bucket.wait(time.monotonic())) > 0:
            self._hold(wait)
            return
        self._breaker.probing = True
        try:
            fresh = self._issue(login=login)
            try:
                self._verify(fresh)
            except Refused:
                self._retired.revoke(fresh, self._current)
                raise
        except (VaultError, Refused) as error:
            self.counts.issue_failures += 1
            self._failed(error)
            cap = 1.0 if isinstance(error, VaultUnavailable) else 30.0
            seconds = renewal.backoff(
                self._breaker.failures, self._random, cap=cap, retry_after=_retry_after(error)
            )
            self._hold(seconds)
            self._log.warning("no new credential", reason=str(error), again_in=round(seconds, 3))
            return
        finally:
            self._breaker.probing = False
        self._succeeded()
        with self._changed:
            old, self._current = self._current, fresh
            self._changed.notify_all()
        self._renew_at = renewal.renewal_time(fresh.lease, self._random, fresh=True)
        self._log.info("credential adopted", generation=fresh.number, username=fresh.username)
        self._adopted(fresh)
        if old is not None:
            self._retired.add(old)

    def _hold(self, seconds: float) -> None:
        self._not_before = self._renew_at = time.monotonic() + seconds

    def _issue(self, *, login: bool) -> Generation:
        # A lease ends with its token. One that has little left would make a short lease.
        needed = 2 * self._current.issued.lease_seconds if self._current else 0.0
        token = None if login else self._login.token(needed)
        logged_in = token is None
        if token is None:
            token = self._login.again()
        self._bucket.take(time.monotonic())
        try:
            issued = self._vault.issue(token)
        except AuthRefused:
            if logged_in:
                raise
            token = self._login.again()
            issued = self._vault.issue(token)
        self.counts.issues += 1
        self._number += 1
        return self._generation(
            self._number, issued, token, asked_at=issued.asked_at, seconds=issued.lease_seconds
        )

    def _generation(
        self, number: int, issued: Issued, token: Token, *, asked_at: float, seconds: float
    ) -> Generation:
        alive = self._login.latest(token)
        end = issued.asked_at + self._max_ttl if self._max_ttl else float("inf")
        return Generation(number, issued, alive, Lease(asked_at, seconds, alive.expires_at, end))

    def _failed(self, error: VaultError | Refused) -> None:
        with self._changed:
            self._breaker.failed(error)
            self._changed.notify_all()
        if (problem := self.problem()) is not None:
            self._gave_up(problem)

    def _succeeded(self) -> None:
        with self._changed:
            self._breaker.succeeded()
            self._not_before = 0.0


def _retry_after(error: BaseException) -> float | None:
    return error.retry_after if isinstance(error, VaultUnavailable) else None
