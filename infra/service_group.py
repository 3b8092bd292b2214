"""Component: the identity group of a stack's services."""

from __future__ import annotations

import pulumi
import pulumi_vault as vault

from infra.cluster.vault import VaultCluster


class ServiceGroup(pulumi.ComponentResource):
    """Every service of the environment is in it; it gives no right, it says what they are."""

    def __init__(
        self,
        name: str,
        cluster: VaultCluster,
        *,
        environment: str,
        members: list[pulumi.Output[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rotation-drills:identity:ServiceGroup", name, None, opts)
        vault.identity.Group(
            f"{name}-group",
            name=f"{environment}-services",
            metadata={"environment": environment},
            member_entity_ids=members,
            opts=cluster.options(self),
        )
        self.register_outputs({})
