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
from loadtests.pools.errors import ConnectFailed, CredentialsRefused, CredentialsUnavailable
from loadtests.pools.lease_aware import LeaseAwarePool
from loadtests.pools.psycopg_callable import PsycopgCallablePool
from loadtests.pools.sqlalchemy import SqlalchemyPool
from loadtests.pools.static import StaticPool
from loadtests.target import Target
from loadtests.vault import VaultError

__all__ = [
    "POOLS",
    "ConnectFailed",
    "CredentialsRefused",
    "CredentialsUnavailable",
    "LeaseAwarePool",
    "Pool",
    "PoolOpenError",
    "PsycopgCallablePool",
    "SqlalchemyPool",
    "StaticPool",
    "open_pool",
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
    }
)

POOLS = tuple(_KINDS)
"""The names that `--pool` takes; the first is the default."""


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
    if kind not in POOLS:
        raise PoolOpenError(f"no pool {kind!r}; there are: {', '.join(POOLS)}")
    if size < 1:
        raise PoolOpenError(f"pool size {size}: it must be 1 or more")
    name = name or kind
    try:
        pool = _KINDS[kind](target, name=name, min_size=size, max_size=size, timeout=timeout)
        pool.open(wait=True, timeout=wait)
    except (VaultError, CredentialsUnavailable, ConnectFailed, PoolTimeout) as error:
        raise PoolOpenError(f"pool {name}: {' '.join(str(error).split())}") from None
    return pool
