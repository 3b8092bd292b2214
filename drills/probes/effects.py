"""Probe `effects`: what the requests of this run did in the database, once the load has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from drills.database import Database
from drills.probes.base import VaultProbe
from drills.vault import Vault
from infra.platform import Platform, Service

#: The demo service's table; each order of the load has an item of its own (loadtests/users.py).
_SQL = (
    "SELECT count(*), count(*) - count(DISTINCT item) FROM {}.orders"
    " WHERE created_at >= %s AND item LIKE %s"
)


class Effects(VaultProbe):
    """Fields: written (orders of this run), duplicates (those beyond the first of an item).

    One sample, at the end: it takes a credential of the read-only role for a moment.
    """

    name: ClassVar[str] = "effects"
    every: ClassVar[float] = 1.0

    def __init__(
        self,
        platform: Platform,
        service: Service,
        vault: Vault,
        observe: Callable[..., Any],
        failed: Callable[[str, str], Any],
    ) -> None:
        super().__init__(vault, observe, failed)
        self._database = Database(platform)
        self._path = f"{platform.vault.database_mount}/creds/{service.read_only_role}"
        self._dbname = service.database
        self._sql = _SQL.format(service.name)
        self._since: Any = None

    def look(self) -> None:
        """Note the server's time, once: what is older is another run's."""
        if self._since is None:
            with self._database.connect() as session:
                row = session.execute("SELECT now()").fetchone()
            self._since = row[0] if row else None

    def close(self) -> None:
        """Count, and give the credential back."""
        try:
            if self._since is not None:
                self._count()
        except Exception as error:  # noqa: BLE001 - a probe must never end a drill
            self._failed(self.name, f"{type(error).__name__}: {error}")
        finally:
            self._database.close()

    def _count(self) -> None:
        canary = self._vault.call("GET", self._path, seconds=3)
        try:
            user, password = str(canary["data"]["username"]), str(canary["data"]["password"])
            with self._database.connect(
                user=user, password=password, dbname=self._dbname
            ) as session:
                row = session.execute(self._sql.encode(), (self._since, "drill-%")).fetchone()
        finally:
            body = {"lease_id": canary["lease_id"], "sync": True}
            self._vault.call("PUT", "sys/leases/revoke", json=body, seconds=3)
        if row is not None:
            self.observe(self.name, written=int(row[0]), duplicates=int(row[1]))
