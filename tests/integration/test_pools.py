"""The pools on a real Vault and a real Postgres."""

from __future__ import annotations

import io
import logging
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg
import pytest
import structlog
from psycopg_pool import PoolClosed, PoolTimeout
from pydantic import SecretStr

from loadtests import secrets
from loadtests.pools import (
    CredentialsRefused,
    CredentialsUnavailable,
    LeaseAwarePool,
    Pool,
    PoolOpenError,
    open_pool,
)
from tests.integration.pool_servers import Servers, free_port, running, until

pytestmark = pytest.mark.slow

CLOSING_SECONDS = 0.2
"""From a revocation's answer until the kernel has closed the last killed session's socket."""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One Vault and one Postgres for the whole module."""
    with running(tmp_path_factory.mktemp("servers")) as both:
        yield both


@pytest.fixture
def healthy(servers: Servers) -> Servers:
    """The servers without a lease or role of an earlier test."""
    for role in ("orders", "brief"):
        with suppress(Exception):
            servers.revoke_all(role)
    until("no dynamic role is left", lambda: not servers.dynamic_roles(), seconds=10)
    return servers


@dataclass
class Load:
    """What threads that query without a pause have seen: start, seconds, error."""

    seen: list[tuple[float, float, Exception | None]] = field(default_factory=list)

    def count(self, since: float = 0.0) -> int:
        """Return how many requests started from `since` on have ended."""
        return sum(1 for start, _, _ in list(self.seen) if start >= since)

    def failed(self, since: float = 0.0) -> list[Exception]:
        """Return the errors of requests that started from `since` on."""
        return [error for start, _, error in list(self.seen) if error and start >= since]


@contextmanager
def load(pool: Pool, *, threads: int = 16, pause: float = 0.002) -> Iterator[Load]:
    """Query the pool from `threads` threads while the block runs."""
    seen, stop = Load(), threading.Event()

    def work() -> None:
        while not stop.wait(pause):
            start, error = time.monotonic(), None
            try:
                with pool.connection() as connection:
                    connection.execute("SELECT 1")
            except Exception as raised:  # noqa: BLE001 - whatever it is, it counts
                error = raised
            seen.seen.append((start, time.monotonic() - start, error))

    workers = [threading.Thread(target=work, name=f"load-{number}") for number in range(threads)]
    for worker in workers:
        worker.start()
    try:
        until("the load is under way", lambda: seen.count() > 100, seconds=10)
        yield seen
    finally:
        stop.set()
        for worker in workers:
            worker.join(20)


def _query(pool: Pool) -> None:
    with pool.connection() as connection:
        connection.execute("SELECT 1")


def test_forced_revocation_costs_one_lease_and_what_was_in_flight(healthy: Servers) -> None:
    """When every lease is revoked under load, each thread loses at most the statement that it
    had running; nothing that starts afterwards fails, and one new lease is taken."""
    with LeaseAwarePool(healthy.target(), min_size=20, timeout=5) as pool:
        pool.wait()
        with load(pool) as seen:
            healthy.revoke_all()
            revoked = time.monotonic() + CLOSING_SECONDS
            until("load goes on", lambda: seen.count(revoked) > 2000, seconds=20)
        assert seen.failed(revoked) == []
        assert len(seen.failed()) <= 16
        # a statement that was on its way when the socket closed is told no reason
        kinds = {type(error) for error in seen.failed()}
        assert kinds <= {psycopg.errors.AdminShutdown, psycopg.OperationalError}
        assert pool.lease()["issues"] == 2
        assert pool.lease()["generation"] == 2
        until("one role is left", lambda: len(healthy.dynamic_roles()) == 1, seconds=5)


def test_a_static_pool_does_not_survive_a_revocation(healthy: Servers) -> None:
    """The known bad client: after the revocation nothing it does succeeds, for good."""
    pool = open_pool("static", healthy.target(), size=5, timeout=0.3)
    try:
        with load(pool, threads=4) as seen:
            healthy.revoke_all()
            revoked = time.monotonic() + CLOSING_SECONDS
            until("requests have ended", lambda: seen.count(revoked) > 20, seconds=20)
        assert len(seen.failed(revoked)) == seen.count(revoked)
    finally:
        pool.close()


def test_twenty_threads_that_notice_at_once_make_one_issuance(healthy: Servers) -> None:
    """However many threads meet a dead credential, one new lease is taken."""
    with LeaseAwarePool(healthy.target(), min_size=20, timeout=5) as pool:
        pool.wait()
        healthy.revoke_all()
        barrier, errors = threading.Barrier(20), []

        def work() -> None:
            barrier.wait()
            try:
                _query(pool)
            except psycopg.OperationalError as error:
                errors.append(error)  # met a session in the moment of its end

        threads = [threading.Thread(target=work) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert not any(isinstance(one, PoolTimeout | CredentialsUnavailable) for one in errors)
        _query(pool)
        assert pool.lease()["issues"] == 2


def test_a_role_dropped_behind_the_sessions_back_is_replaced(healthy: Servers) -> None:
    """A login that Postgres refuses (28P01, 28000) costs one refresh, and no request fails."""
    with LeaseAwarePool(healthy.target(), min_size=2, max_size=8, timeout=5) as pool:
        pool.wait()
        with healthy.superuser() as owner:
            owner.execute(f'ALTER ROLE "{pool.lease()["username"]}" NOLOGIN'.encode())
        with load(pool) as seen:  # needs more connections than are open
            until("load goes on", lambda: seen.count() > 1000, seconds=20)
        assert seen.failed() == []
        assert pool.lease()["refusals"] == 1
        assert pool.lease()["issues"] == 2


def test_a_revoked_login_is_renewed_with_its_lease(healthy: Servers) -> None:
    """When the token is revoked, and its leases with it, the pool logs in once more and takes
    one lease; requests that start afterwards succeed."""
    with LeaseAwarePool(healthy.target(), min_size=5, timeout=5) as pool:
        pool.wait()
        operator = healthy.operator()
        for accessor in operator.list("auth/token/accessors")["data"]["keys"]:
            found = operator.auth.token.lookup_accessor(accessor)["data"]
            if found["path"] == "auth/approle/login":
                operator.auth.token.revoke_accessor(accessor)
        until("the new lease", lambda: _works(pool) and pool.lease()["issues"] == 2, seconds=10)
        assert pool.lease()["logins"] == 2
        assert len(healthy.dynamic_roles()) == 1


def test_too_many_connections_is_no_reason_for_a_new_lease(healthy: Servers) -> None:
    """53300 is waited out: the connections there are serve on, and nothing is issued."""
    with LeaseAwarePool(healthy.target(), min_size=2, max_size=8, timeout=5) as pool:
        pool.wait()
        with healthy.superuser() as owner:
            name = pool.lease()["username"]
            owner.execute(f'ALTER ROLE "{name}" CONNECTION LIMIT 2'.encode())
        with load(pool, threads=8) as seen:
            until("load goes on", lambda: seen.count() > 1000, seconds=20)
        assert seen.failed() == []
        assert pool.lease()["issues"] == 1
        assert pool.lease()["refusals"] == 0


def test_a_vault_that_hangs_holds_up_nobody(healthy: Servers) -> None:
    """A Vault that accepts and never answers is an outage like any other: the lease serves on,
    and a renewal that was due is caught up with afterwards."""
    role = healthy.role("brief", ttl=12, max_ttl=120)
    with LeaseAwarePool(healthy.target(role), min_size=5, timeout=5) as pool:
        pool.wait()
        with load(pool, threads=8) as seen:
            with healthy.frozen_vault():
                until("a renewal failed", lambda: pool.lease()["renewal_failures"] > 0, seconds=12)
            until("a renewal", lambda: pool.lease()["renewals"] > 0, seconds=10)
        assert seen.failed() == []
        assert pool.lease()["issues"] == 1


def test_natural_expiry_fails_nothing(healthy: Servers) -> None:
    """Over three generations that end at max_ttl, not one request fails, and old roles go."""
    role = healthy.role("brief", ttl=2, max_ttl=4)
    with LeaseAwarePool(healthy.target(role), min_size=10, timeout=5) as pool:
        pool.wait()
        with load(pool, threads=8) as seen:
            until("three rotations", lambda: pool.lease()["generation"] >= 4, seconds=40)
        assert seen.failed() == []
        assert pool.lease()["renewals"] > 0
        until("old roles are gone", lambda: len(healthy.dynamic_roles()) == 1, seconds=10)


def test_an_outage_shorter_than_the_lease_fails_nothing(healthy: Servers) -> None:
    """While a lease lasts, a Vault that is away is none of the requests' business."""
    role = healthy.role("brief", ttl=20, max_ttl=60)
    with LeaseAwarePool(healthy.target(role), min_size=10, timeout=5) as pool:
        pool.wait()
        with load(pool, threads=8) as seen:
            healthy.kill_vault()
            away = time.monotonic()
            until("load goes on", lambda: time.monotonic() - away > 3, seconds=5)
            healthy.start_vault()
        assert seen.failed() == []
        assert pool.lease()["issues"] == 1


def test_an_outage_beyond_the_deadline_fails_fast_and_recovers(healthy: Servers) -> None:
    """From the deadline on requests fail typed and within 50 ms; once Vault is back they
    succeed within two seconds."""
    role = healthy.role("brief", ttl=4, max_ttl=60)
    with LeaseAwarePool(healthy.target(role), min_size=5, timeout=5) as pool:
        pool.wait()
        healthy.kill_vault()
        try:
            until("the breaker is open", lambda: _fails(pool, CredentialsUnavailable), seconds=20)
            for _ in range(20):
                start = time.monotonic()
                with pytest.raises(CredentialsUnavailable, match="no credential it may use"):
                    _query(pool)
                assert time.monotonic() - start < 0.05
            assert pool.lease()["breaker"] in {"open", "half-open"}
        finally:
            healthy.start_vault()
        until("requests succeed", lambda: not _fails(pool, CredentialsUnavailable), seconds=2)
        assert pool.lease()["breaker"] == "closed"


def test_those_who_wait_when_the_credential_is_lost_are_let_go(healthy: Servers) -> None:
    """A request that waits for a connection is failed, typed, when it is clear that none comes:
    not after its own timeout."""
    pool = LeaseAwarePool(healthy.target(), min_size=1, timeout=60, outage_grace=0.5)
    with pool:
        pool.wait()
        healthy.kill_vault()
        try:
            with healthy.superuser() as owner:
                name = pool.lease()["username"]
                owner.execute(f'ALTER ROLE "{name}" NOLOGIN'.encode())
                # with its timeout it returns when they are ended: one that dies a moment later
                # would take the statement with it
                owner.execute(
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                    "WHERE usename = %s",
                    (name,),
                )
            start = time.monotonic()
            with pytest.raises(CredentialsUnavailable):
                _query(pool)
            assert time.monotonic() - start < 20
        finally:
            healthy.start_vault()


def _works(pool: Pool) -> bool:
    return not _fails(pool, psycopg.Error)


def _fails(pool: Pool, kind: type[Exception]) -> bool:
    try:
        _query(pool)
    except kind:
        return True
    return False


def test_close_gives_everything_back(healthy: Servers) -> None:
    """After `close` there is no role, no lease, no thread, and `getconn` says closed."""
    pool = LeaseAwarePool(healthy.target(), min_size=3, name="given-back")
    pool.open(wait=True)
    assert len(healthy.leases()) == 1
    pool.close()
    assert healthy.leases() == []
    assert healthy.dynamic_roles() == []
    assert not [one for one in threading.enumerate() if "given-back" in one.name]
    with pytest.raises(PoolClosed):
        pool.getconn()


def test_a_full_pool_says_timeout(healthy: Servers) -> None:
    """A pool whose connections are all lent says `PoolTimeout` with the caller's own figure."""
    with LeaseAwarePool(healthy.target(), min_size=1) as pool:
        pool.wait()
        with pool.connection(), pytest.raises(PoolTimeout, match=r"after 0\.20 sec"):
            pool.getconn(timeout=0.2)


def test_a_dead_first_address_is_passed_over(healthy: Servers) -> None:
    """Vault addresses are tried in order, from the one that answered last."""
    addresses = [f"https://127.0.0.1:{free_port()}", healthy.vault_address]
    with LeaseAwarePool(healthy.target(vault_addresses=addresses), min_size=1) as pool:
        pool.wait()
        _query(pool)


@pytest.mark.parametrize("kind", ["lease-aware", "static"])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"role": "no-such-role"}, "no-such-role"),
        ({"database_mount": "nowhere"}, "403"),
        ({"auth": {"method": "token-file", "path": "/no/such/token"}}, "/no/such/token"),
        ({"vault_ca_pem": "other"}, "vault_ca_pem"),
    ],
)
def test_a_wrong_target_is_said_at_once_and_leaves_nothing(
    healthy: Servers, kind: str, changes: dict[str, object], said: str
) -> None:
    """A wrong role, mount, token or certificate authority: one line, no lease, no thread."""
    import trustme

    if changes.get("vault_ca_pem"):
        changes = {"vault_ca_pem": trustme.CA().cert_pem.bytes().decode()}
    before = set(threading.enumerate())
    with pytest.raises(PoolOpenError) as caught:
        open_pool(kind, healthy.target(**changes), size=2, wait=10)  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert healthy.leases() == []
    until("no thread is left", lambda: set(threading.enumerate()) <= before, seconds=5)


def test_postgres_with_another_authority_is_refused(healthy: Servers) -> None:
    """A Postgres that shows a certificate of another authority is never sent a password."""
    import trustme

    if not healthy.postgres_tls:
        pytest.skip("this Postgres is built without TLS")

    target = healthy.target()
    other = target.postgres.model_copy(update={"ca_pem": trustme.CA().cert_pem.bytes().decode()})
    with pytest.raises(PoolOpenError, match="certificate verify failed"):
        open_pool("lease-aware", target.model_copy(update={"postgres": other}), size=1, wait=6)
    assert healthy.leases() == []


def test_a_refused_login_is_typed(healthy: Servers) -> None:
    """A wrong secret id is `CredentialsRefused`: waiting will not help."""
    auth = healthy.target().auth.model_copy(update={"secret_id": SecretStr("wrong-secret-id")})
    pool = LeaseAwarePool(healthy.target(auth=auth), min_size=1)
    pool.open()
    with pytest.raises(CredentialsRefused, match="login"):
        pool.wait()
    assert pool.closed


def test_no_secret_is_logged_or_raised(
    healthy: Servers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Through issue, refusal, revocation, outage and close, no log line and no traceback holds a
    password, token, secret id or lease id."""
    handled: list[str] = []
    note = secrets.handled

    def spy(kind: str, value: str) -> None:
        handled.append(value)
        note(kind, value)

    monkeypatch.setattr("loadtests.vault.handled", spy)
    written = io.StringIO()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(written))
    caplog.set_level(logging.DEBUG)
    tracebacks: list[str] = []
    try:
        with LeaseAwarePool(healthy.target(), min_size=5, timeout=2, outage_grace=0.1) as pool:
            pool.wait()
            with load(pool, threads=8) as seen:
                healthy.revoke_all()
                until("a new lease", lambda: pool.lease()["generation"] == 2, seconds=10)
                healthy.kill_vault()
                with healthy.superuser() as owner:
                    name = pool.lease()["username"]
                    owner.execute(f'ALTER ROLE "{name}" NOLOGIN'.encode())
                    owner.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s",
                        (name,),
                    )
                until("requests fail", lambda: len(seen.failed()) > 20, seconds=20)
            tracebacks = ["".join(traceback.format_exception(error)) for error in seen.failed()]
            arguments = [repr(vars(error)) for error in seen.failed()]
            report = repr((pool.lease(), pool.get_stats(), pool))
    finally:
        structlog.reset_defaults()
        healthy.start_vault()
    everything = "\n".join([written.getvalue(), caplog.text, *tracebacks, *arguments, report])
    assert len(handled) >= 5
    assert "credential adopted" in everything
    assert "CredentialsUnavailable" in everything
    assert [value for value in handled if value in everything] == []
