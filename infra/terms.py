"""Component: what the configuration says of limits, where a policy pack can see it.

A policy pack sees resources, not the configuration.
"""

from __future__ import annotations

import pulumi

from infra.settings import Settings

TERMS = "rotation-drills:stack:Terms"


class Terms(pulumi.ComponentResource):
    """Nothing but its inputs."""

    def __init__(
        self, name: str, config: Settings, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        window = config.drill_window
        told = {
            "production": config.production,
            "drills_allowed": config.drills_allowed,
            "drill_window": window.model_dump() if window else None,
            "ttl_limit": config.lease_limits.ttl,
            "max_ttl_limit": config.lease_limits.max_ttl,
        }
        super().__init__(TERMS, name, told, opts)
        self.register_outputs(told)
