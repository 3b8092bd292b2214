"""Component: who changes policies, and who reads secrets: two policies, and nobody holds both."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_vault as vault

from infra import policies
from infra.cluster.vault import VaultCluster


class Operators(pulumi.ComponentResource):
    """A policy and an identity group each: `policy-operators` and `secret-operators`.

    Who is in a group is not declared here: people come and go without a `pulumi up`.
    """

    def __init__(
        self,
        name: str,
        cluster: VaultCluster,
        *,
        secrets: Sequence[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rotation-drills:operator:Operators", name, None, opts)
        texts = {
            "policy-operator": policies.policy_operator(),
            "secret-operator": policies.secret_operator(secrets),
        }
        for role, text in texts.items():
            policy = vault.Policy(
                f"{name}-{role}", name=role, policy=text, opts=cluster.options(self)
            )
            vault.identity.Group(
                f"{name}-{role}s",
                name=f"{role}s",
                policies=[policy.name],
                external_member_entity_ids=True,
                opts=cluster.options(self),
            )
        self.register_outputs({})
