"""Figure 1: every lease is revoked at once under load, for each pool."""

from __future__ import annotations

import statistics
import time
from contextlib import suppress
from typing import Any

import psycopg

from infra import role_sql
from loadtests.pools import POOLS, open_pool
from loadtests.pools.postgres import connect_arguments
from loadtests.vault import VaultClient
from tests.bench.threads import let_run, querying
from tests.integration.pool_servers import CREATION, RENEWAL, Servers, until

ROLE = "forced"
THREADS, SIZE = 16, 20
PAUSE_SECONDS = 0.004
BEFORE_SECONDS, AFTER_SECONDS, ROUNDS = 3.0, 4.0, 3
CLOSING_SECONDS = 0.2
"""From Vault's answer until the kernel has closed the last killed session's socket."""


def measure(servers: Servers) -> dict[str, Any]:
    """Return the rounds of each pool, and what a new lease and a connect cost here (medians)."""
    # The stack's own revocation. With one that does not commit NOLOGIN first, a naive pool now and
    # then comes back in with the old password, and looks as if it had survived.
    servers.operator().secrets.database.create_role(
        ROLE,
        "postgres",
        CREATION,
        default_ttl="10m",
        max_ttl="1h",
        renew_statements=RENEWAL,
        revocation_statements=role_sql.revocation(),
    )
    issue, connect = _issue_and_connect(servers)
    return {
        "threads": THREADS,
        "pool_size": SIZE,
        "issue_seconds": round(issue, 4),
        "connect_seconds": round(connect, 4),
        "recovery_goal_seconds": round(2 * (issue + connect), 4),
        "rounds": ROUNDS,
        "pools": {kind: [_one(servers, kind) for _ in range(ROUNDS)] for kind in POOLS},
    }


def _one(servers: Servers, kind: str) -> dict[str, Any]:
    with suppress(Exception):
        servers.revoke_all(ROLE)
    until("no dynamic role is left", lambda: not servers.dynamic_roles(), seconds=20)
    pool = open_pool(kind, servers.target(ROLE), size=SIZE, timeout=1.0)
    try:
        with querying(pool, threads=THREADS, pause=PAUSE_SECONDS) as seen:
            let_run(BEFORE_SECONDS)
            began = time.monotonic()
            servers.revoke_all(ROLE)
            ended = time.monotonic()
            let_run(AFTER_SECONDS)
            new_leases = len(servers.leases(ROLE))
        before = seen.between(began - BEFORE_SECONDS + 1, began)
        after = [one for one in seen.requests if one.end >= began]
        failed = [one for one in after if one.error]
        late = [one for one in failed if one.start >= ended + CLOSING_SECONDS]
        return {
            "queries_per_second_before": round(len(before) / (BEFORE_SECONDS - 1)),
            "revoke_seconds": round(ended - began, 3),
            "requests_after": len(after),
            "failed": len(failed),
            "failed_begun_after_the_revoke": len(late),
            "errors": sorted({str(one.error) for one in failed}),
            "last_failure_seconds_after_the_revoke_began": (
                round(max(one.end for one in failed) - began, 3) if failed else None
            ),
            "recovered": not [one for one in failed if one.end > began + AFTER_SECONDS - 1],
            "longest_request_seconds": round(max(one.end - one.start for one in after), 3),
            "new_leases": new_leases,
        }
    finally:
        pool.close()


def _issue_and_connect(servers: Servers) -> tuple[float, float]:
    """Return the medians of ten issuances and of ten connects, in seconds."""
    vault = VaultClient(servers.target(ROLE))
    token, issues, connects = vault.login(), [], []
    arguments = connect_arguments(servers.target(ROLE).postgres, application_name="bench")
    for _ in range(10):
        start = time.monotonic()
        issued = vault.issue(token)
        issues.append(time.monotonic() - start)
        start = time.monotonic()
        psycopg.connect(**arguments, user=issued.username, password=issued.password).close()
        connects.append(time.monotonic() - start)
    vault.revoke_token(token)
    vault.close()
    return statistics.median(issues), statistics.median(connects)
