"""`LeaseKeeper`: the one thread that talks to Vault, and keeps one dynamic role usable.

Because there is one, there is one issuance at a time, however many threads notice that a
credential is dead.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from random import Random, SystemRandom

import structlog

from loadtests.pools import renewal
from loadtests.pools.errors import CredentialsUnavailable
from loadtests.pools.generation import Generation, Refused
from loadtests.pools.login import Login
from loadtests.pools.renewal import Lease, Step, TokenBucket, Trouble
from loadtests.pools.retired import Retired
from loadtests.pools.state import CredentialState
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


class LeaseKeeper:
    """Keeps `state` supplied with a credential of the client's role.

    `verify` opens a connection with a new generation before it is adopted, `adopted` is called
    after (to drain the old one), `gave_up` when requests are turned away from now on, `sessions`
    says how many connections of a generation are left: its lease is revoked when there are none.
    All are called in the lease thread.
    """

    def __init__(
        self,
        vault: VaultClient,
        state: CredentialState,
        *,
        verify: Callable[[Generation], None],
        adopted: Callable[[Generation], None],
        gave_up: Callable[[CredentialsUnavailable], None],
        sessions: Callable[[int], int],
        max_ttl: float | None = None,
        random: Random | None = None,
    ) -> None:
        self._vault, self._state = vault, state
        self._verify, self._adopted, self._gave_up = verify, adopted, gave_up
        self._login = Login(vault, state.counts)
        self._retired = Retired(
            vault, self._login, state.counts, name=state.name, sessions=sessions
        )
        self._max_ttl = max_ttl
        self._random = random or SystemRandom()
        self._bucket = TokenBucket()
        self._number = 0
        self._renew_at = self._not_before = 0.0
        self._log = structlog.get_logger("loadtests.pools").bind(pool=state.name)
        self._thread = threading.Thread(target=self._run, name=f"{state.name}-lease", daemon=True)

    def start(self) -> None:
        """Begin: log in and take the first credential, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Let go of everybody who waits, and take no new credential."""
        with self._state.changed:
            self._state.closing = True
            self._state.tell()

    def close(self, timeout: float = 5.0) -> None:
        """Stop, give back every lease and the login; call it when the sessions are closed.

        After `timeout` seconds, without Vault, or where Vault's Retry-After is longer than that,
        the leases are left to end by themselves.
        """
        self.stop()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        if not self._thread.is_alive():
            with self._state.changed:
                last, self._state.current = self._state.current, None
                self._state.tell()
            if (pause := self._vault.paused_seconds) <= timeout:
                time.sleep(pause)  # Vault named the time
            self._retired.give_back(last)
        self._vault.close()

    # The thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        wait, state = 0.0, self._state
        while True:
            with state.changed:
                state.changed.wait_for(lambda: state.closing or self._needs_new(), wait)
                if state.closing:
                    return
            try:
                wait = self._step()
            except Exception:  # noqa: BLE001
                # Whatever it is, a pool without this thread would die at the end of its lease.
                # Not `exception`: structlog's default prints locals, and those hold secrets.
                self._log.error("lease thread goes on", traceback=redact(traceback.format_exc()))
                wait = 1.0

    def _needs_new(self) -> bool:
        return self._state.wants_new() and time.monotonic() >= self._not_before

    def _step(self) -> float:
        """Do what is due, and return the seconds until something may be due again."""
        now = time.monotonic()
        current = self._state.current
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
        current = self._state.current
        if current is None or self._state.wants_new() or now >= current.deadline:
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
        self._state.counts.renewals += 1
        self._succeeded()
        renewed = self._generation(
            current.number, current.issued, current.token, asked_at=asked_at, seconds=granted
        )
        with self._state.changed:
            self._state.current = renewed
            self._state.tell()
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
        self._state.counts.renewal_failures += 1
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
                self._state.doubt(current.number, "lease gone")
            self._replace(login=step is Step.LOGIN_AND_REPLACE)
            return
        self._failed(error)
        tries, after = self._state.breaker.failures, _retry_after(error)
        again = renewal.retry_time(current.lease, now, tries, self._random, retry_after=after)
        self._renew_at = current.deadline if again is None else again

    def _replace(self, *, login: bool = False) -> None:
        """Issue, verify and adopt a new generation; on failure set when to try again."""
        if (wait := self._bucket.wait(time.monotonic())) > 0:
            self._hold(wait)
            return
        self._state.breaker.probing = True
        try:
            fresh = self._issue(login=login)
            try:
                self._verify(fresh)
            except Refused:
                self._retired.revoke(fresh, self._state.current)
                raise
        except (VaultError, Refused) as error:
            self._state.counts.issue_failures += 1
            self._failed(error)
            cap = renewal.OUTAGE_CAP_SECONDS if isinstance(error, VaultUnavailable) else 30.0
            seconds = renewal.backoff(
                self._state.breaker.failures, self._random, cap=cap, retry_after=_retry_after(error)
            )
            self._hold(seconds)
            self._log.warning("no new credential", reason=str(error), again_in=round(seconds, 3))
            return
        finally:
            self._state.breaker.probing = False
        self._succeeded()
        with self._state.changed:
            old, self._state.current = self._state.current, fresh
            self._state.tell()
        self._renew_at = renewal.renewal_time(fresh.lease, self._random, fresh=True)
        self._log.info("credential adopted", generation=fresh.number, username=fresh.username)
        self._adopted(fresh)
        if old is not None:
            self._retired.add(old)

    def _hold(self, seconds: float) -> None:
        self._not_before = self._renew_at = time.monotonic() + seconds

    def _issue(self, *, login: bool) -> Generation:
        # A lease ends with its token. One that has little left would make a short lease.
        needed = 2 * self._state.current.issued.lease_seconds if self._state.current else 0.0
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
        self._state.counts.issues += 1
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
        with self._state.changed:
            self._state.breaker.failed(error)
            self._state.tell()
        if (problem := self._state.problem()) is not None:
            self._gave_up(problem)

    def _succeeded(self) -> None:
        with self._state.changed:
            self._state.breaker.succeeded()
            self._not_before = 0.0


def _retry_after(error: BaseException) -> float | None:
    return error.retry_after if isinstance(error, VaultUnavailable) else None
