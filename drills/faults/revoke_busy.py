"""Fault `revoke-busy`: every lease is revoked while one of them has sessions that do not let go."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import psycopg

from drills.faults.base import Scene
from drills.faults.revoke_prefix import RevokePrefix


class RevokeBusy(RevokePrefix):
    """As `revoke-prefix`, but the canary is in use: one session stands idle in a transaction, one
    runs a statement of 10 minutes. A session knows nothing of VALID UNTIL and outlives DROP ROLE,
    so only revocation statements that end sessions end these."""

    name = "revoke-busy"

    def use_canary(self, scene: Scene, username: str, password: str) -> contextlib.ExitStack:
        """Log in twice; what is returned closes what is left of it."""
        sessions = contextlib.ExitStack()
        for idle in (True, False):
            session = scene.database.connect(
                user=username, password=password, name="rotation-drills canary"
            )
            sessions.callback(session.close)
            # A backend in a statement does not notice that its client is gone. Where revocation
            # forgets it, it would stay for the 10 minutes, and be found by the next drill.
            session.execute("SET client_connection_check_interval = '250ms'")
            self._occupy(session, idle=idle)
        return sessions

    def _occupy(self, session: psycopg.Connection[Any], *, idle: bool) -> None:
        if idle:
            session.execute("BEGIN")
            session.execute("SELECT 1")
            return

        def run() -> None:
            with contextlib.suppress(psycopg.Error):
                session.execute("SELECT pg_sleep(600)")

        threading.Thread(target=run, name="busy-canary", daemon=True).start()
