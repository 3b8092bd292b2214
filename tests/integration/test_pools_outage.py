"""The reference pool on a real Vault and a real Postgres: leases that end, Vault away."""

from __future__ import annotations

import time

import pytest

from loadtests.pools import CredentialsUnavailable, LeaseAwarePool
from tests.integration.pool_load import fails, load, query
from tests.integration.pool_servers import Servers, until

pytestmark = pytest.mark.slow


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
    """From the deadline on requests fail typed, without waiting for their timeout; once Vault is
    back they succeed."""
    role = healthy.role("brief", ttl=4, max_ttl=60)
    with LeaseAwarePool(healthy.target(role), min_size=5, timeout=60) as pool:
        pool.wait()
        healthy.kill_vault()
        try:
            until("the breaker is open", lambda: fails(pool, CredentialsUnavailable), seconds=20)
            start = time.monotonic()
            for _ in range(20):
                with pytest.raises(CredentialsUnavailable, match="no credential it may use"):
                    query(pool)
            assert time.monotonic() - start < 30  # of 20 times the timeout
            assert pool.lease()["breaker"] in {"open", "half-open"}
        finally:
            healthy.start_vault()
        until("requests succeed", lambda: not fails(pool, CredentialsUnavailable), seconds=30)
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
                query(pool)
            assert time.monotonic() - start < 20
        finally:
            healthy.start_vault()
