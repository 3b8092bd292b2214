"""Component: the drills' own access to Vault: a policy and a token that can do no more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pulumi
import pulumi_vault as vault

from infra import policies
from infra.cluster.vault import VaultCluster
from infra.database_engine import MOUNT
from infra.secret import secret


class DrillOperator(pulumi.ComponentResource):
    """`token`: periodic, without parent; it can do only what the faults and probes need.

    `roles` holds each dynamic role's creation SQL."""

    def __init__(
        self,
        name: str,
        cluster: VaultCluster,
        *,
        roles: dict[str, list[str]],
        static_roles: Sequence[str] = (),
        audit_dir: Path | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rotation-drills:operator:DrillOperator", name, None, opts)
        policy = vault.Policy(
            f"{name}-policy",
            name="drill-operator",
            policy=policies.drill_operator(
                MOUNT, roles, static_roles=static_roles, audit_dir=audit_dir
            ),
            opts=cluster.options(self),
        )
        token = vault.Token(
            f"{name}-token",
            display_name="drill-operator",
            policies=[policy.name],
            no_parent=True,
            renewable=True,
            period="768h",
            opts=cluster.options(self, additional_secret_outputs=["client_token"]),
        )
        self.token = secret(token.client_token)
        self.register_outputs({})
