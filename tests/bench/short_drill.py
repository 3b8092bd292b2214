"""What the benches of the harness's own safety share: a short drill as a process of its own, and
what a stack looks like when nothing is wrong with it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from drills.database import Database
from drills.errors import VaultRefused
from drills.faults.exhaust_connections import SESSIONS
from drills.faults.quota import NAME as QUOTA
from drills.toxiproxy import Toxiproxy
from drills.undo import UndoLog
from drills.vault import Vault
from infra.platform import Platform
from tools.environment import find_root

LOAD = {"service": "orders", "users": 2, "pools": 1, "pool_size": 2}


def write_drill(folder: Path, faults: list[dict[str, Any]], **more: Any) -> Path:
    """Write a drill file with these faults and short phases; `more` are other keys of the file."""
    drill = {
        "drill": "short",
        "title": "A drill that is cut short",
        "catches": "nothing; it is the harness that is tried",
        "load": LOAD,
        "phases": {"warmup": "0s", "baseline": "1s", "fault": "5s", "recovery": "1s"},
        "faults": faults,
        "bounds": [{"unsealed_voters": {"at_least": 1}}],
        **more,
    }
    file = folder / "short.yaml"
    file.write_text(yaml.safe_dump(drill, sort_keys=False))
    return file


class Process:
    """`drill run FILE`, and the run folder that it makes."""

    def __init__(self, file: Path, stack: str, *options: str) -> None:
        self._runs = find_root() / "runs"
        self._before = self._folders()
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - as long-lived as the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", "drills", "run", str(file), "--stack", stack, *options],
            stdin=subprocess.DEVNULL,
            stdout=self._words,
            stderr=subprocess.STDOUT,
            env={**os.environ, "ROTATION_DRILLS_ROOT": str(find_root())},
        )

    def _folders(self) -> set[Path]:
        return set(self._runs.glob("*-short*")) if self._runs.exists() else set()

    def folder(self) -> Path | None:
        """Return the run folder, None until it is there."""
        return next(iter(self._folders() - self._before), None)

    def events(self) -> list[dict[str, Any]]:
        """Return the events so far."""
        folder = self.folder()
        if folder is None:
            return []
        with contextlib.suppress(OSError):
            lines = (folder / "events.jsonl").read_text().splitlines()
            return [json.loads(line) for line in lines if line.endswith("}")]
        return []

    def children(self) -> list[psutil.Process]:
        """Return watchdog and load; servers of the stack that a fault has started stay."""
        found = []
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    words = " ".join(each.cmdline())
                    if any(part in words for part in ("drills.watchdog", "loadtests", "locust")):
                        found.append(each)
        return found

    def words(self) -> str:
        """Return what it said last."""
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def watchdog_in(processes: list[psutil.Process]) -> psutil.Process | None:
    """Return the one that is a watchdog."""
    for each in processes:
        with contextlib.suppress(psutil.Error):
            if each.cmdline()[-2:] == ["-m", "drills.watchdog"]:
                return each
    return None


@contextlib.contextmanager
def looking_at(platform: Platform) -> Iterator[tuple[Vault, Database]]:
    """Lend ways to look at the stack."""
    vault, database = Vault(platform), Database(platform)
    try:
        yield vault, database
    finally:
        vault.close()
        database.close()


def state_of(platform: Platform, vault: Vault, database: Database) -> dict[str, Any]:
    """Return all that a fault may change and an undo must bring back; errors are a difference."""
    mount = platform.vault.database_mount
    try:
        raft = vault.call("GET", "sys/storage/raft/autopilot/state", seconds=2)["data"]
        toxiproxy = Toxiproxy(platform.proxy.api)
        names = [*vault.nodes, "postgres", "vault-to-postgres"]
        return {
            "unsealed": sorted(name for name in vault.nodes if vault.health(name) in {200, 429}),
            "healthy": raft["healthy"],
            "voters": len(raft["voters"] or []),
            "roles": {
                role: vault.call("GET", f"{mount}/roles/{role}", seconds=2)["data"]
                for service in platform.services
                for role in (service.role, service.read_only_role)
            },
            "audit devices": sorted(vault.call("GET", "sys/audit", seconds=2)["data"]),
            "drill quota": _quota(vault),
            "pipes": [
                path.name
                for log in platform.vault.audit_logs[:1]
                for path in log.parent.glob("*.fifo")
            ],
            "proxies": {
                name: (toxiproxy.proxy(name)["enabled"], toxiproxy.toxics(name)) for name in names
            },
            "crowd": database.sessions_named(SESSIONS),
            "undo log": [entry.fault for entry in UndoLog(platform.drills.state_dir).pending()],
        }
    except Exception as error:  # noqa: BLE001 - whatever it is, the stack is not whole
        return {"can't be looked at": f"{type(error).__name__}: {error}"}


def _quota(vault: Vault) -> bool:
    try:
        vault.call("GET", f"sys/quotas/rate-limit/{QUOTA}", seconds=2)
    except VaultRefused as error:
        if error.status == httpx.codes.NOT_FOUND:
            return False
        raise
    return True
