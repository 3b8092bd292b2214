"""Connection pools under test, by name.

>>> pool = open_pool("lease-aware", Target.load(), size=20)
>>> with pool.connection() as connection:
...     connection.execute("select 1")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, Protocol

import psycopg
from psycopg_pool import PoolTimeout

from loadtests.errors import LoadtestError
from loadtests.pools import foreign
from loadtests.pools.agent_file import AgentFilePool
from loadtests.pools.async_lease_aware import AsyncLeaseAwarePool
from loadtests.pools.engine_lease import EngineLease, use_lease
from loadtests.pools.errors import ConnectFailed, CredentialsRefused, CredentialsUnavailable
from loadtests.pools.lease_aware import LeaseAwarePool
from loadtests.pools.psycopg_callable import PsycopgCallablePool
from loadtests.pools.sqlalchemy import SqlalchemyPool
from loadtests.pools.sqlalchemy_lease_aware import SqlalchemyLeaseAwarePool
from loadtests.pools.static import StaticPool
from loadtests.secrets import redact
from loadtests.target import Target
from loadtests.vault import VaultError

__all__ = [
    "POOLS",
    "AgentFilePool",
    "AsyncLeaseAwarePool",
    "ConnectFailed",
    "CredentialsRefused",
    "CredentialsUnavailable",
    "EngineLease",
    "LeaseAwarePool",
    "Pool",
    "PoolOpenError",
    "PsycopgCallablePool",
    "SqlalchemyLeaseAwarePool",
    "SqlalchemyPool",
    "StaticPool",
    "find_pool",
    "open_pool",
    "use_lease",
]


class PoolOpenError(LoadtestError):
    """Raised when a pool can't be opened; the line has Vault's or Postgres's reason. Nothing is
    left running."""


class Pool(Protocol):
    """What the load needs of a pool."""

    name: str

    def connection(
        self, timeout: float | None = None
    ) -> AbstractContextManager[psycopg.Connection[Any]]:
        """Lend a connection for a block."""

    def get_stats(self) -> dict[str, int]:
        """Return psycopg_pool's statistics."""

    def lease(self) -> dict[str, Any]:
        """Return the state of the lease; empty where the pool has no idea of one."""

    def close(self) -> None:
        """Close the connections, and give back what can be given back."""


class _Unopened(Pool, Protocol):
    def open(self, wait: bool = False, timeout: float = 30.0) -> None:
        """Connect; wait for `min_size` connections where asked to."""


_KINDS: Mapping[str, Callable[..., _Unopened]] = MappingProxyType(
    {
        "lease-aware": LeaseAwarePool,
        "static": StaticPool,
        "sqlalchemy": SqlalchemyPool,
        "psycopg-callable": PsycopgCallablePool,
        "sqlalchemy-lease-aware": SqlalchemyLeaseAwarePool,
        "agent-file": AgentFilePool,
    }
)

POOLS = tuple(_KINDS)
"""Our own pools; the first is the default. `--pool` takes others as well: see `find_pool`."""


def find_pool(kind: str) -> Callable[..., _Unopened]:
    """Return what makes the pool `kind`: one of ours, one that an installed package offers in the
    entry point group `rotation_drills.pools`, or `package.module:Class`.

    It is called with a `Target` and the keywords `name`, `min_size`, `max_size` and `timeout`, and
    what it returns has `open` and the methods of `Pool`. Raises `PoolOpenError`.
    """
    if kind in _KINDS:
        return _KINDS[kind]
    try:
        found = foreign.load(kind)
    except foreign.PoolUnknown as error:
        raise PoolOpenError(str(error)) from None
    if found is None:
        known = ", ".join((*POOLS, *foreign.names()))
        raise PoolOpenError(f"no pool {kind!r}; there are: {known}, or package.module:Class")
    return found


def open_pool(
    kind: str,
    target: Target,
    *,
    size: int = 20,
    name: str | None = None,
    timeout: float = 5.0,
    wait: float = 30.0,
) -> Pool:
    """Open a pool of the named kind with `size` connections, and wait for them up to `wait` s.

    `timeout` is how many seconds a request waits for a connection. Raises `PoolOpenError`.
    """
    make = find_pool(kind)
    if size < 1:
        raise PoolOpenError(f"pool size {size}: it must be 1 or more")
    name = name or kind
    try:
        pool = make(target, name=name, min_size=size, max_size=size, timeout=timeout)
        pool.open(wait=True, timeout=wait)
    except (VaultError, CredentialsUnavailable, ConnectFailed, PoolTimeout) as error:
        raise PoolOpenError(f"pool {name}: {' '.join(str(error).split())}") from None
    except Exception as error:
        if kind in _KINDS:
            raise
        # a foreign pool raises what it likes, and its traceback could show a password
        reason = redact(" ".join(str(error).split()))
        raise PoolOpenError(f"pool {name}: {type(error).__name__}: {reason}") from None
    return pool
