"""Fault `audit-block`: an audit device takes nothing more, and Vault waits for it."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from drills.errors import FaultError, VaultRefused, VaultUnreachable
from drills.faults.base import Fault, FaultParams, Record, Scene
from infra.waiting import WaitedTooLong, wait_for

#: The device's name, which the drill operator's policy allows, and no other.
DEVICE = "drill-blocked"
_PATH = f"sys/audit/{DEVICE}"
#: Long enough for a healthy Vault, short enough to wait for one that hangs.
_PATIENCE = 2.0


class AuditBlockParams(FaultParams):
    """None."""


class AuditBlock(Fault[AuditBlockParams]):
    """Adds an audit device that writes to a pipe (a FIFO beside the audit logs), and then nobody
    reads it: what a full disk on a network, or a log collector that hangs, looks like.

    Vault waits for every device, so the two healthy ones beside it are no help: no request is
    answered, health aside. It needs no Vault to take it back: who opens the pipe and reads lets
    Vault go on, and only then is the device disabled.
    """

    name = "audit-block"
    needs = frozenset({"processes"})  # a pipe reaches only what runs on this machine
    params_model = AuditBlockParams

    def prepare(self, scene: Scene) -> Record:
        """Note where the pipe will be."""
        logs = scene.platform.vault.audit_logs
        if not logs:
            raise FaultError("audit-block: this stack has no audit log on this machine")
        return {"pipe": str(logs[0].parent / f"{DEVICE}.fifo")}

    def inject(self, scene: Scene, record: Record) -> None:
        """Make the pipe, let Vault open it while it is read, then stop reading."""
        pipe = Path(record["pipe"])
        _discard(pipe)
        os.mkfifo(pipe, 0o600)
        with _drained(pipe):  # Vault tries a device before it takes it
            options = {"file_path": str(pipe), "mode": "0000"}
            body = {"type": "file", "options": options}
            scene.vault.call("PUT", _PATH, json=body, timeout=10)
        if _answers(scene):
            raise FaultError("audit-block: Vault answers all the same: nothing was blocked")

    def undo(self, scene: Scene, record: Record) -> None:
        """Read the pipe, disable the device meanwhile, and delete the pipe."""
        pipe = Path(record["pipe"])
        with _drained(pipe):
            # One that is not there is no error to Vault.
            scene.vault.call("DELETE", _PATH, timeout=10, seconds=20)
        _discard(pipe)

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """See that the device is gone, and wait up to 15 s until Vault answers."""
        try:
            wait_for(lambda: _answers(scene), "Vault answering", seconds=15, every=0.1)
        except WaitedTooLong as error:
            return [str(error)]
        if f"{DEVICE}/" in scene.vault.call("GET", "sys/audit")["data"]:
            return [f"audit device {DEVICE} is still there"]
        return []

    def by_hand(self, record: Record) -> str:
        """Name the commands, in the order that matters."""
        return (
            f"audit-block: leave `cat {record['pipe']} > /dev/null` running, then "
            f"`vault audit disable {DEVICE}`, then delete the pipe"
        )


def _answers(scene: Scene) -> bool:
    leader = scene.vault.active_node()  # sys/health is not audited
    if leader is None:
        return False
    try:
        scene.vault.call("GET", "sys/audit", seconds=0, timeout=_PATIENCE, node=leader)
    except VaultRefused:
        return True
    except VaultUnreachable:
        return False
    return True


def _discard(pipe: Path) -> None:
    """Delete the pipe, or the plain file that a Vault which started without it has made."""
    pipe.unlink(missing_ok=True)


@contextlib.contextmanager
def _drained(pipe: Path) -> Iterator[None]:
    """Read the pipe for as long as the context lasts. No error when it is not there."""
    try:
        # Opened without waiting for a writer, and kept open: a writer's open succeeds then.
        descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        yield
        return
    over = threading.Event()

    def read() -> None:
        while not over.wait(0.01):
            with contextlib.suppress(BlockingIOError):
                while os.read(descriptor, 65536):
                    pass

    reader = threading.Thread(target=read, name="drain", daemon=True)
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            reader.start()
        yield
    finally:
        over.set()
        if reader.ident is not None:
            reader.join()
        os.close(descriptor)
