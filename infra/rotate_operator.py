"""Component: what `drill rotate` may do in Vault: a policy, and no token that holds it.

A token with these rights would be worth stealing: it can end every login. So there is none: a
rotation makes its own for a quarter of an hour, with the rights of whoever may run `pulumi up`,
and revokes it at its end.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_vault as vault

from infra import policies
from infra.cluster.vault import VaultCluster
from infra.database_engine import MOUNT

NAME = "rotate-operator"


class RotateOperator(pulumi.ComponentResource):
    """The policy `rotate-operator` over the stack's services and their dynamic roles."""

    def __init__(
        self,
        name: str,
        cluster: VaultCluster,
        *,
        approle_mount: pulumi.Input[str],
        services: dict[str, list[str]],
        static_roles: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rotation-drills:operator:RotateOperator", name, None, opts)
        vault.Policy(
            f"{name}-policy",
            name=NAME,
            policy=pulumi.Output.from_input(approle_mount).apply(
                lambda mount: policies.rotate_operator(MOUNT, mount, services, static_roles)
            ),
            opts=cluster.options(self),
        )
        self.register_outputs({})
