"""What is leased is revoked before the way to revoke it goes, however long that takes."""

from __future__ import annotations

from typing import Any

import pytest
from hvac.exceptions import InternalServerError, InvalidPath

from infra.lease_drain import count, revoke_all
from infra.waiting import WaitedTooLong

PREFIX = "database/creds"


class FakeVault:
    """Leases under two roles; a listing sees `each` fewer than the one before, once revoked."""

    def __init__(self, leases: int, *, each: int, error: str | None = None) -> None:
        self.left, self.each, self.error = leases, each, error
        self.asked: list[bool] = []

    def put(self, path: str, json: dict[str, Any]) -> None:
        """Revoke: a request that waits for all of them does not come back while any is left."""
        assert path == f"/v1/sys/leases/revoke-prefix/{PREFIX}"
        self.asked.append(json["sync"])
        if json["sync"] and self.error:
            raise InternalServerError(self.error)

    def list(self, path: str) -> dict[str, Any]:
        """List as Vault does: what is empty is not there."""
        where = path.removeprefix(f"/v1/sys/leases/lookup/{PREFIX}").strip("/")
        if not where:
            if not self.left:
                raise InvalidPath
            if self.asked:
                self.left = max(0, self.left - self.each)
            return {"data": {"keys": ["orders/", "orders-ro/"]}}
        mine = self.left // 2 if where == "orders" else self.left - self.left // 2
        if not mine:
            raise InvalidPath
        return {"data": {"keys": [f"id{index}" for index in range(mine)]}}


def test_counts_leases_of_every_role() -> None:
    """Leases are counted below each role, and none is no error."""
    assert count(FakeVault(7, each=0), PREFIX) == 7
    assert count(FakeVault(0, each=0), PREFIX) == 0


def test_never_waits_on_one_request() -> None:
    """A thousand leases are revoked in Vault's own time: no request lasts for all of them."""
    vault = FakeVault(1000, each=400)
    revoke_all(vault, PREFIX)
    assert vault.left == 0
    assert vault.asked == [False]


def test_says_why_none_goes() -> None:
    """When no lease goes, Vault is asked for the reason, and that is the error."""
    vault = FakeVault(3, each=0, error="no connection to the database")
    with pytest.raises(InternalServerError, match="no connection"):
        revoke_all(vault, PREFIX, patience=0)


def test_ends_without_a_reason_too() -> None:
    """When no lease goes and Vault names no reason, it ends with how many are left."""
    with pytest.raises(WaitedTooLong, match="fewer than 3 leases"):
        revoke_all(FakeVault(3, each=0), PREFIX, patience=0)
