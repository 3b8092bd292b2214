"""The reference pool on a real Vault and a real Postgres: credentials that die under load."""

from __future__ import annotations

import threading

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from infra import role_sql
from loadtests.pools import CredentialsUnavailable, LeaseAwarePool, open_pool
from tests.integration.pool_load import load, query, revoke_all, works
from tests.integration.pool_servers import Servers, until

pytestmark = pytest.mark.slow


def test_forced_revocation_costs_one_lease_and_what_was_in_flight(healthy: Servers) -> None:
    """When every lease is revoked under load, each thread loses at most the statement that it
    had running; nothing that starts afterwards fails, and one new lease is taken."""
    with LeaseAwarePool(healthy.target(), min_size=20, timeout=5) as pool:
        pool.wait()
        with load(pool) as seen:
            revoked = revoke_all(healthy)
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
    # With statements that don't commit NOLOGIN first, now and then it gets back in.
    healthy.role("orders", ttl=60, max_ttl=300, revocation=role_sql.revocation())
    pool = open_pool("static", healthy.target(), size=5, timeout=0.3)
    try:
        with load(pool, threads=4) as seen:
            revoked = revoke_all(healthy)
            until("requests have ended", lambda: seen.count(revoked) > 20, seconds=20)
        assert len(seen.failed(revoked)) == seen.count(revoked)
    finally:
        pool.close()
        healthy.role("orders", ttl=60, max_ttl=300)


def test_twenty_threads_that_notice_at_once_make_one_issuance(healthy: Servers) -> None:
    """However many threads meet a dead credential, one new lease is taken."""
    with LeaseAwarePool(healthy.target(), min_size=20, timeout=5) as pool:
        pool.wait()
        healthy.revoke_all()
        barrier, errors = threading.Barrier(20), []

        def work() -> None:
            barrier.wait()
            try:
                query(pool)
            except psycopg.OperationalError as error:
                errors.append(error)  # met a session in the moment of its end

        threads = [threading.Thread(target=work) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert not any(isinstance(one, PoolTimeout | CredentialsUnavailable) for one in errors)
        query(pool)
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
        until("the new lease", lambda: works(pool) and pool.lease()["issues"] == 2, seconds=10)
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
