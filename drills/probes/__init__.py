"""One measurement a file. `open_probes` makes those that every drill takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drills.probes.audit import Audit
from drills.probes.base import Probe
from drills.probes.capabilities import Capabilities
from drills.probes.effects import Effects
from drills.probes.leases import Leases
from drills.probes.node_health import NodeHealth
from drills.probes.postgres_roles import PostgresRoles
from drills.probes.postgres_sessions import PostgresSessions
from drills.probes.raft import Raft
from drills.probes.static_sessions import StaticSessions
from drills.probes.telemetry import Telemetry
from drills.vault import Vault
from infra.platform import Platform


def open_probes(
    platform: Platform,
    vault: Vault,
    to_monotonic: Callable[[float], float],
    observe: Callable[..., Any],
    failed: Callable[[str, str], Any],
    *,
    past_seconds: float = 0.0,
) -> list[Probe]:
    """Return all probes, not started. `observe` takes a sample, `failed` a dead probe's error.

    `past_seconds`: how much of what was audited before is taken as well."""
    return [
        *(NodeHealth(vault, node, observe, failed) for node in vault.nodes),
        Raft(vault, observe, failed),
        Telemetry(vault, observe, failed),
        PostgresRoles(platform, vault, observe, failed),
        PostgresSessions(platform, observe, failed),
        StaticSessions(platform, observe, failed),
        # elsewhere (driver external), what rests on the log is missing, and so inconclusive
        *(
            [
                Audit(platform, to_monotonic, observe, failed, past_seconds=past_seconds),
                Leases(platform, vault, observe, failed),
            ]
            if platform.vault.audit_logs
            else []
        ),
        *(Capabilities(platform, each, vault, observe, failed) for each in platform.services),
        *(
            Effects(platform, each, vault, observe, failed)
            for each in platform.services
            if each.name == "orders"  # the demo service's; of others the tables are not known
        ),
    ]
