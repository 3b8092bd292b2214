"""The `agent-file` pool: psycopg_pool that reads the file which a Vault Agent renders.

What many platforms give their services: a sidecar keeps the credential fresh, the application
reads it on every connect.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from loadtests.pools.postgres import connect_arguments
from loadtests.pools.vault_agent import VaultAgent
from loadtests.target import Target


class AgentFilePool(ConnectionPool[psycopg.Connection[TupleRow]]):
    """psycopg_pool with an agent of its own, callable `kwargs` that read its file, and `check`.

    The agent follows max_ttl by itself. It learns of a revocation only when it renews, and until
    then what it rendered is refused.
    """

    def __init__(
        self, target: Target, *, name: str, min_size: int, max_size: int, timeout: float
    ) -> None:
        """Start the agent; raises `AgentFailed`. `open` waits for it, and connects."""
        self._arguments = connect_arguments(target.postgres, application_name=name)
        self._username: str | None = None
        self._seen = 0
        super().__init__(
            kwargs=self._as_rendered,
            min_size=min_size,
            max_size=max_size,
            open=False,
            name=name,
            timeout=timeout,
            check=ConnectionPool.check_connection,
        )
        self._agent = VaultAgent(target)

    def open(self, wait: bool = False, timeout: float = 30.0) -> None:
        """Wait for the first credential, then connect. Raises `AgentFailed`, `PoolTimeout`."""
        self._agent.wait(timeout)
        super().open(wait, timeout)

    def _as_rendered(self) -> dict[str, Any]:
        user, password = self._agent.read()
        if user != self._username:
            self._username, self._seen = user, self._seen + 1
        return {**self._arguments, "user": user, "password": password}

    def lease(self) -> dict[str, Any]:
        """Return the role that was read last, and how many different ones were."""
        return {"username": self._username, "issues": self._seen}

    def close(self, timeout: float = 5.0) -> None:
        """Close the connections and end the agent."""
        super().close(timeout)
        self._agent.close()
