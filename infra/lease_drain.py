"""Revokes what is still leased before the way to revoke it goes.

The published plugins alone delete the connection first; the mount's deletion then fails on every
live lease ("failed to find entry for connection") and the stack is stuck. This resource stands
between: it is made after the connection and before the dynamic roles, so that `destroy` first
stops new issuance (the roles), then revokes, then goes on.

Vault ends a request after 90 s (`default_max_request_duration`), and a busy machine revokes a
dozen leases a second: waiting on one request for all of them fails from a thousand on. So Vault is
asked to revoke in its own time, and the leases that are left are counted.
"""

from __future__ import annotations

from typing import Any

import hvac
import pulumi
import requests
from hvac.exceptions import InvalidPath, VaultError
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from infra.waiting import WaitedTooLong, wait_for

#: Seconds without a single lease less, after which Vault is asked what is wrong.
_PATIENCE = 60.0
_CHANGES = ("address", "ca_file", "token", "prefixes")


class _LeaseDrain(ResourceProvider):
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"drain:{props['prefixes'][0]}", props)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=any(_olds.get(key) != _news.get(key) for key in _CHANGES))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        client = hvac.Client(
            url=_props["address"], token=_props["token"], verify=_props["ca_file"], timeout=100
        )
        for prefix in _props.get("prefixes") or [_props["prefix"]]:  # one, in older states
            try:
                revoke_all(client.adapter, prefix)
            except (requests.RequestException, VaultError, WaitedTooLong) as error:
                # an hvac error names the address and Vault's words, never the token
                raise RuntimeError(
                    f"leases under {prefix} could not be revoked ({error}): "
                    "mend what Vault names, then run the same command again"
                ) from None


def count(adapter: Any, prefix: str) -> int:
    """Return how many leases live under `prefix`, at any depth."""
    try:
        keys = adapter.list(f"/v1/sys/leases/lookup/{prefix}")["data"]["keys"]
    except InvalidPath:
        return 0
    below = (key.rstrip("/") for key in keys if key.endswith("/"))
    leases = sum(not key.endswith("/") for key in keys)
    return leases + sum(count(adapter, f"{prefix}/{key}") for key in below)


def revoke_all(adapter: Any, prefix: str, *, patience: float = _PATIENCE) -> None:
    """Revoke every lease under `prefix` and wait until the last is gone, however many there are.

    When none has gone for `patience` seconds, asks once more and waits for the answer, since that
    one has the reason: hvac's errors then, or `WaitedTooLong` with how many are left.
    """
    path = f"/v1/sys/leases/revoke-prefix/{prefix}"
    adapter.put(path, json={"sync": False})
    left = count(adapter, prefix)
    while left:
        try:
            _wait_for_fewer(adapter, prefix, left, seconds=patience)
        except WaitedTooLong:
            adapter.put(path, json={"sync": True})
            if count(adapter, prefix) >= left:
                raise
        left = count(adapter, prefix)


def _wait_for_fewer(adapter: Any, prefix: str, before: int, *, seconds: float) -> None:
    what = f"fewer than {before} leases"
    wait_for(lambda: count(adapter, prefix) < before, what, seconds=seconds, every=0.2)


class LeaseDrain(Resource, module="vault", name="LeaseDrain"):
    """On deletion, revokes every lease under `prefixes` and waits until the last is gone."""

    def __init__(
        self,
        name: str,
        *,
        address: pulumi.Input[str],
        ca_file: str,
        token: pulumi.Input[str],
        prefixes: list[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=["token"])
        props = {"address": address, "ca_file": ca_file, "token": token, "prefixes": prefixes}
        super().__init__(_LeaseDrain(), name, props, pulumi.ResourceOptions.merge(opts, secret))
