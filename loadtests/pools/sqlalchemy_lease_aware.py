"""The `sqlalchemy-lease-aware` pool: an SQLAlchemy engine with `use_lease`."""

from __future__ import annotations

from typing import Any

from loadtests.pools.engine_lease import use_lease
from loadtests.pools.errors import CredentialsUnavailable
from loadtests.pools.sqlalchemy import EnginePool
from loadtests.target import Target


class SqlalchemyLeaseAwarePool(EnginePool):
    """SQLAlchemy's `QueuePool` whose connections live and die with a lease."""

    def __init__(
        self, target: Target, *, name: str, min_size: int, max_size: int, timeout: float
    ) -> None:
        """Make the engine; `open` takes the lease and connects."""
        super().__init__(
            target,
            name=name,
            min_size=min_size,
            max_size=max_size,
            timeout=timeout,
            logging_name=name,
        )
        self._lease = use_lease(self._engine, target, timeout=timeout)

    def open(self, wait: bool = False, timeout: float = 30.0) -> None:
        """As `EnginePool.open`; raises what Vault's refusal raises, too, and is closed then."""
        try:
            super().open(wait, timeout)
        except CredentialsUnavailable:
            self.close()
            raise

    def lease(self) -> dict[str, Any]:
        """Return lease age and remaining seconds, generation, counts and breaker state."""
        return self._lease.lease()
