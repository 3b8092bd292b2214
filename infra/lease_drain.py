"""Revokes what is still leased before the way to revoke it goes.

The published plugins alone delete the connection first; the mount's deletion then fails on every
live lease ("failed to find entry for connection") and the stack is stuck. This resource stands
between: it is made after the connection and before the dynamic roles, so that `destroy` first
stops new issuance (the roles), then revokes, then goes on.
"""

from __future__ import annotations

from typing import Any

import hvac
import pulumi
import requests
from hvac.exceptions import VaultError
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

_CHANGES = ("address", "ca_file", "token", "prefix")


class _LeaseDrain(ResourceProvider):
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"drain:{props['prefix']}", props)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=any(_olds.get(key) != _news.get(key) for key in _CHANGES))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        client = hvac.Client(
            url=_props["address"], token=_props["token"], verify=_props["ca_file"], timeout=300
        )
        try:
            client.sys.revoke_prefix(_props["prefix"])
        except (requests.RequestException, VaultError) as error:
            # an hvac error names the address and Vault's words, never the token
            raise RuntimeError(
                f"leases under {_props['prefix']} could not be revoked ({error}): "
                "mend what Vault names, then run `pulumi destroy` again"
            ) from None


class LeaseDrain(Resource, module="vault", name="LeaseDrain"):
    """On deletion, revokes every lease under `prefix` and waits until the last is gone."""

    def __init__(
        self,
        name: str,
        *,
        address: pulumi.Input[str],
        ca_file: str,
        token: pulumi.Input[str],
        prefix: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=["token"])
        props = {"address": address, "ca_file": ca_file, "token": token, "prefix": prefix}
        super().__init__(_LeaseDrain(), name, props, pulumi.ResourceOptions.merge(opts, secret))
