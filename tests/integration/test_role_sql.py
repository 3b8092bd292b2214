"""The stack's revocation SQL on a real Vault and a real Postgres: nothing outlives a role."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest

from infra import role_sql
from loadtests.vault import Issued, VaultClient
from tests.integration.pool_servers import Servers, running, until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One Vault and one Postgres for the whole module."""
    with running(tmp_path_factory.mktemp("servers")) as both:
        yield both


@pytest.fixture
def issued(servers: Servers) -> Iterator[Issued]:
    """A dynamic role that ends by the stack's own statements."""
    servers.role("sql", ttl=300, max_ttl=600, revocation=role_sql.revocation())
    vault = VaultClient(servers.target("sql"))
    token = vault.login()
    yield vault.issue(token)
    vault.revoke_token(token)
    vault.close()


def _connect(servers: Servers, issued: Issued, **more: str) -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1",
        port=servers.postgres_port,
        dbname="orders",
        user=issued.username,
        password=issued.password,
        autocommit=True,
        **more,
    )


def test_a_login_in_progress_does_not_outlive_its_role(servers: Servers, issued: Issued) -> None:
    """A session that has passed the check for NOLOGIN, but is not in pg_stat_activity yet, is
    ended all the same."""
    outcome: list[str] = []

    def late() -> None:
        try:
            # the server waits between the check and the session's appearance
            with _connect(servers, issued, options="-c post_auth_delay=1") as connection:
                outcome.append("connected")
                connection.execute("SELECT pg_sleep(30)")
                outcome.append("queried")
        except psycopg.OperationalError:
            outcome.append("ended")

    with servers.superuser() as owner:

        def starting() -> int:
            row = owner.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'virtualxid' AND pid NOT IN"
                " (SELECT pid FROM pg_stat_activity WHERE usesysid IS NOT NULL)"
            ).fetchone()
            return row[0] if row else 0

        def sessions() -> int:
            row = owner.execute(
                "SELECT count(*) FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = usesysid"
                " WHERE usesysid IS NOT NULL AND (rolname IS NULL OR rolname LIKE 'v-%')"
            ).fetchone()
            return row[0] if row else 0

        login = threading.Thread(target=late)
        login.start()
        until("a login is in progress", starting, seconds=5)
        servers.revoke_all("sql")
        assert servers.dynamic_roles() == []
        until("its session is ended", lambda: not (starting() or sessions()), seconds=3)
    login.join(10)
    assert outcome[-1] == "ended"


def test_a_role_that_owns_something_can_be_revoked(servers: Servers, issued: Issued) -> None:
    """Every role can make a large object; its revocation takes that along, and does not fail."""
    with _connect(servers, issued) as connection:
        row = connection.execute("SELECT lo_create(0)").fetchone()
    assert row is not None
    servers.revoke_all("sql")
    assert servers.dynamic_roles() == []
    with servers.superuser() as owner:
        found = owner.execute(
            "SELECT count(*) FROM pg_largeobject_metadata WHERE oid = %s", row
        ).fetchone()
    assert found == (0,)


def test_a_role_that_is_gone_can_be_revoked(servers: Servers, issued: Issued) -> None:
    """A role that somebody dropped by hand does not leave an irrevocable lease behind."""
    with servers.superuser() as owner:
        owner.execute(f'DROP ROLE "{issued.username}"'.encode())
    servers.revoke_all("sql")
    assert servers.leases("sql") == []
