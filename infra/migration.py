"""SQL that must have run before a service starts: its tables."""

from __future__ import annotations

from typing import Any

import psycopg
import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult


class _Migration(ResourceProvider):
    def _run(self, props: dict[str, Any], statements: list[str]) -> None:
        with psycopg.connect(**props["connection"], connect_timeout=10) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def create(self, props: dict[str, Any]) -> CreateResult:
        self._run(props, props["apply"])
        return CreateResult(props["connection"]["dbname"], props)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return DiffResult(
            changes=any(_olds.get(key) != _news.get(key) for key in ("apply", "take_back"))
        )

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        self._run(_news, _news["apply"])
        return UpdateResult(_news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        self._run(_props, _props["take_back"])


class Migration(Resource, module="postgres", name="Migration"):
    """Runs `apply` (statements that can be repeated) when made or changed, `take_back` when
    destroyed; each set in one transaction. `connection` holds psycopg's keyword arguments."""

    def __init__(
        self,
        name: str,
        *,
        connection: pulumi.Input[dict[str, Any]],
        apply: list[str],
        take_back: list[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=["connection"])
        props = {"connection": connection, "apply": apply, "take_back": take_back}
        super().__init__(_Migration(), name, props, pulumi.ResourceOptions.merge(opts, secret))
