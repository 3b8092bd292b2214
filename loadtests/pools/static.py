"""The `static` pool: what everybody writes first, and what every drill must fail."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from loadtests.pools.postgres import connect_arguments
from loadtests.target import Target
from loadtests.vault import VaultClient


class StaticPool(ConnectionPool[psycopg.Connection[TupleRow]]):
    """psycopg_pool with a credential taken once, at the start.

    It is naive on purpose: no renewal, no check, no refresh, nothing given back at the end.
    """

    def __init__(
        self, target: Target, *, name: str, min_size: int, max_size: int, timeout: float
    ) -> None:
        """Take a credential; raises what `loadtests.vault` raises. `open` connects."""
        vault = VaultClient(target)
        issued = vault.issue(vault.login())
        vault.close()
        super().__init__(
            kwargs={
                **connect_arguments(target.postgres, application_name=name),
                "user": issued.username,
                "password": issued.password,
            },
            min_size=min_size,
            max_size=max_size,
            open=False,
            name=name,
            timeout=timeout,
        )

    def lease(self) -> dict[str, Any]:
        """Return what is known of the lease: nothing."""
        return {}
