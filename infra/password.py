"""Random passwords, made once and kept as Pulumi secrets."""

from __future__ import annotations

import secrets
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider


class _Password(ResourceProvider):
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult("password", {**props, "value": secrets.token_urlsafe(24)})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        changed = _olds.get("version") != _news.get("version")
        return DiffResult(changes=changed, replaces=["version"] if changed else [])


class Password(Resource, module="password", name="Password"):
    """`value`: 192 random bits; a new `version` makes a new one."""

    value: pulumi.Output[str]

    def __init__(
        self, name: str, *, version: int = 1, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=["value"])
        props = {"version": version, "value": None}
        super().__init__(_Password(), name, props, pulumi.ResourceOptions.merge(opts, secret))
