"""Stopping a drill from another machine that reaches the stack: a word passed through Postgres.

Lock, undo log and kill switch are files of the machine that runs the drill. What both machines
share is the stack, and an advisory lock of Postgres needs no right that the drills' observer does
not have: who wants a drill to end holds the lock `STOP` for as long as he waits, and each run looks
for it. It goes with its session, so nobody can leave it behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import psycopg

from drills.database import Database
from drills.errors import SetupError
from drills.probes.base import Probe
from infra.platform import Platform
from infra.waiting import WaitedTooLong, wait_for

#: The lock, of no meaning but to be nobody else's; and what a run's session is called.
STOP = 0x6472696C
RUN = "rotation-drills run"


class StopAsked(Probe):
    """Looks whether somebody asks this run to stop; its session tells others that it runs."""

    name: ClassVar[str] = "stop_asked"
    every: ClassVar[float] = 0.5

    def __init__(
        self, platform: Platform, observe: Callable[..., Any], failed: Callable[[str, str], Any]
    ) -> None:
        super().__init__(observe, failed)
        self._database = Database(platform, name=RUN)
        self.asked = False

    def look(self) -> None:
        """Ask for the lock's holder. A Postgres that is down says nothing, and is asked again."""
        self.asked = self.asked or self._database.lock_is_held(STOP)

    def close(self) -> None:
        """End the session: the run is over, its faults are undone as far as they can be."""
        self._database.close()


def stop_elsewhere(platform: Platform, *, say: Callable[[str], None], seconds: float = 180) -> bool:
    """Ask a drill that another machine runs to stop, and wait until it has ended.

    Returns whether there was one; False, too, when Postgres can't be asked, which is said. Whether
    its faults were undone is in the undo log over there. Raises `SetupError` when Postgres goes
    away meanwhile, or the drill has not ended within `seconds`.
    """
    database = Database(platform)
    try:
        if not database.sessions_named(RUN):
            return False
    except psycopg.OperationalError as error:
        say(f"Postgres does not answer ({type(error).__name__}): no word of other machines' drills")
        database.close()
        return False
    try:
        session = database.connect(name="rotation-drills stop")
        with session:
            session.execute("SELECT pg_advisory_lock_shared(%s)", [STOP])
            say("asked a drill that another machine runs to stop; it undoes its faults first")
            wait_for(
                lambda: not database.sessions_named(RUN),
                "the drill on the other machine ending",
                seconds=seconds,
                every=0.2,
            )
        say("it has ended; what it undid, and what not, is in its own run folder")
    except psycopg.OperationalError as error:
        raise SetupError(
            f"Postgres has gone away ({type(error).__name__}); the drill that another machine runs "
            "may not have heard: run `drill stop` again, or over there"
        ) from None
    except WaitedTooLong as error:
        raise SetupError(f"{error}: run `drill stop` over there") from None
    finally:
        database.close()
    return True
