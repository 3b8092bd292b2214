"""Component: what guards the cluster itself: audit devices, rate limits, autopilot."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pulumi_vault as vault

from infra.cluster.vault import VaultCluster
from infra.engine_settings import RateLimit


class Guardrails(pulumi.ComponentResource):
    """Two audit devices (a sole one that fails stops Vault) and a rate limit that says when to
    come back."""

    def __init__(
        self,
        name: str,
        cluster: VaultCluster,
        rate_limit: RateLimit,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rotation-drills:guardrails:Guardrails", name, None, opts)
        files = (
            [cluster.audit_dir / f"audit-{index}.log" for index in (1, 2)]
            if cluster.audit_dir
            else []
        )
        self.audit_logs: list[Path] = files if cluster.audit_readable else []
        self.audit_devices = [
            vault.Audit(
                f"{name}-audit-{index}",
                type="file",
                path=f"file-{index}",
                options={"file_path": str(path), "mode": "0600"},
                opts=cluster.options(self),
            )
            for index, path in enumerate(files, start=1)
        ]
        if cluster.guarded:
            self._limit(name, cluster, rate_limit)
        self.register_outputs({})

    def _limit(self, name: str, cluster: VaultCluster, rate_limit: RateLimit) -> None:
        vault.QuotaConfig(
            f"{name}-quota-headers",
            enable_rate_limit_response_headers=True,  # without it a 429 has no Retry-After
            opts=cluster.options(self),
        )
        vault.QuotaRateLimit(
            f"{name}-rate-limit",
            name="global",
            path="",
            rate=rate_limit.per_second,
            interval=1,
            block_interval=rate_limit.block,
            opts=cluster.options(self),
        )
        vault.RaftAutopilot(
            f"{name}-autopilot",
            cleanup_dead_servers=False,
            dead_server_last_contact_threshold="24h0m0s",
            last_contact_threshold="10s",
            max_trailing_logs=1000,
            min_quorum=len(cluster.node_names),
            server_stabilization_time="1s",
            opts=cluster.options(self),
        )
