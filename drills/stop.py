"""`drill stop`: ends the drill that runs on a stack, from another shell."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil

from drills.errors import SetupError
from drills.recovery import Say
from drills.undo import Holder, UndoLog, lock_holder
from infra.waiting import WaitedTooLong, wait_for


def stop(state_dir: Path, *, say: Say, seconds: float = 180) -> bool:
    """Ask the drill that holds the lock to stop, and wait until it has undone its faults and ended.

    A watchdog or a recovery that is at work is only waited for. Returns whether nothing is left
    to be undone. Raises `SetupError` when it is not through within `seconds`; nothing is killed.
    """
    holder = lock_holder(state_dir)
    if holder is None:
        say("no drill is running")
    else:
        _ask(holder, say)
        try:
            wait_for(
                lambda: _is_free(state_dir, holder),
                f"process {holder.pid} ending",
                seconds=seconds,
                every=0.1,
            )
        except WaitedTooLong as error:
            raise SetupError(
                f"{error}: it is asked to stop and undoing; run `drill stop` again to wait on, "
                f"or end process {holder.pid}, whose watchdog then undoes"
            ) from None
        say(f"process {holder.pid} has ended")
    return not UndoLog(state_dir).pending()


def _ask(holder: Holder, say: Say) -> None:
    process = holder.process()
    if process is None or holder.part != "drill":
        say(str(holder))
        return
    try:
        process.send_signal(signal.SIGTERM)
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied:
        raise SetupError(
            f"process {holder.pid} belongs to {process.username()}: run `drill stop` as that user"
        ) from None
    say(f"asked process {holder.pid} to stop; it undoes its faults first")


def _is_free(state_dir: Path, before: Holder) -> bool:
    """Whether `before` is through: the lock is free, or somebody else's who does not undo."""
    now = lock_holder(state_dir)
    return now is None or (now.part == "drill" and now.pid not in {0, before.pid})
