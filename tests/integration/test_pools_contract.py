"""What the reference pool promises beside serving: bad input, its end, and its secrets."""

from __future__ import annotations

import io
import logging
import os
import signal
import threading
import traceback

import pytest
import structlog
from psycopg_pool import PoolClosed, PoolTimeout
from pydantic import SecretStr

from loadtests import secrets
from loadtests.pools import CredentialsRefused, LeaseAwarePool, PoolOpenError, open_pool
from tests.integration.pool_load import load, query
from tests.integration.pool_servers import Servers, free_port, until

pytestmark = pytest.mark.slow


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
        query(pool)


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

    monkeypatch.setattr("loadtests.vaultcalls.handled", spy)
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


@pytest.mark.parametrize("end", ["terminated", "crashed"])
def test_a_session_that_ended_is_known_without_a_round_trip(healthy: Servers, end: str) -> None:
    """Idle sessions that the server ended are never lent: whether an administrator did it, or the
    crash of another session."""
    with LeaseAwarePool(healthy.target(), min_size=4, timeout=30) as pool:
        pool.wait()
        with healthy.superuser() as owner:
            found = "SELECT pid FROM pg_stat_activity WHERE usename = %s"
            pids = [row[0] for row in owner.execute(found, (pool.lease()["username"],))]
            if end == "terminated":
                owner.execute(
                    "SELECT pg_terminate_backend(pid, 30000) FROM unnest(%s) pid", (pids,)
                )
            else:
                os.kill(pids[0], signal.SIGKILL)  # the postmaster ends all others
        idle = list(pool._pool)
        until("all sessions have ended", lambda: not any(one.alive() for one in idle), seconds=30)
        for _ in range(8):
            query(pool)
        if end == "crashed":
            assert pool.lease()["issues"] == 1
