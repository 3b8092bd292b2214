"""Each live lease with its owner and age: what is leased says Vault, to whom says the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from drills.audit.entries import Entry
from drills.audit.names import Names
from drills.errors import VaultRefused
from drills.vault import Vault

#: Leases that are looked at one by one; beyond, they are only counted.
MOST = 5000


@dataclass(frozen=True)
class Owner:
    """Who was given a lease."""

    service: str
    address: str
    issued: str


@dataclass(frozen=True)
class Lease:
    """A live lease. `id` is what revokes it: shown only to who asks for it."""

    id: str
    owner: Owner | None  # None: it was issued before the log begins, or elsewhere
    age_seconds: int
    ttl_seconds: int
    renewed: str | None

    @property
    def prefix(self) -> str:
        """The lease's id without its secret end."""
        return self.id.rpartition("/")[0]

    def as_json(self, *, show_id: bool) -> dict[str, Any]:
        """Return the lease as one flat object."""
        owner = asdict(self.owner) if self.owner else {"service": None, "address": None}
        return {
            "lease": self.id if show_id else self.prefix,
            **owner,
            "age_seconds": self.age_seconds,
            "ttl_seconds": self.ttl_seconds,
            "renewed": self.renewed,
        }


def owners(entries: Iterable[Entry], names: Names) -> dict[str, Owner]:
    """Return who was given each lease that the log knows, by lease id: its first answer tells."""
    found: dict[str, Owner] = {}
    for entry in entries:
        lease_id = entry.lease_id
        if not lease_id or entry.path.startswith("sys/"):
            continue
        before = found.get(lease_id)
        if before is None or entry.time < before.issued:
            found[lease_id] = Owner(names.of(entry), entry.address, entry.time)
    return found


def _ids(vault: Vault, prefix: str) -> Iterator[str]:
    prefix = prefix.strip("/")
    for key in vault.list_keys(f"sys/leases/lookup/{prefix}/"):
        if key.endswith("/"):
            yield from _ids(vault, f"{prefix}/{key}")
        else:
            yield f"{prefix}/{key}"


def _seconds_since(moment: str, now: datetime) -> int:
    return max(0, int((now - datetime.fromisoformat(moment)).total_seconds()))


def live(vault: Vault, prefixes: Iterable[str], owned: dict[str, Owner]) -> tuple[list[Lease], int]:
    """Return the live leases under `prefixes`, oldest first, and how many were only counted.

    Raises `VaultRefused` and `VaultUnreachable`. A lease that ends while it is looked at is
    left out.
    """
    found: list[Lease] = []
    uncounted = 0
    now = datetime.now(UTC)
    for prefix in dict.fromkeys(prefixes):
        for lease_id in _ids(vault, prefix):
            if len(found) >= MOST:
                uncounted += 1
                continue
            try:
                told = vault.call("PUT", "sys/leases/lookup", json={"lease_id": lease_id})["data"]
            except VaultRefused as error:
                if error.status != 400:  # "invalid lease": it has just ended
                    raise
                continue
            found.append(
                Lease(
                    id=lease_id,
                    owner=owned.get(lease_id),
                    age_seconds=_seconds_since(told["issue_time"], now),
                    ttl_seconds=int(told.get("ttl") or 0),
                    renewed=told.get("last_renewal"),
                )
            )
    return sorted(found, key=lambda lease: (-lease.age_seconds, lease.id)), uncounted
