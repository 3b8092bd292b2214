"""One real stack a session, shared by every test that only needs one to be there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from live_stack import LiveStack

from tests.integration.pool_servers import Servers, running, until


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    """A stack that is up. Tests leave it as whole as they found it."""
    live = LiveStack(tmp_path_factory.mktemp("stack"))
    try:
        live.create()
        yield live
    finally:
        live.destroy()


@pytest.fixture(scope="session")
def pool_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One Vault and one Postgres for the pools' own tests."""
    with running(tmp_path_factory.mktemp("servers")) as both:
        yield both


@pytest.fixture
def healthy(pool_servers: Servers) -> Servers:
    """Those servers, without a lease or role of an earlier test."""
    for role in ("orders", "brief"):
        with suppress(Exception):
            pool_servers.revoke_all(role)
    until("no dynamic role is left", lambda: not pool_servers.dynamic_roles(), seconds=30)
    return pool_servers
