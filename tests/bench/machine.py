"""What a figure was taken on: the machine and the versions, without names or paths."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

from tools import binaries, postgres

_PACKAGES = ("psycopg", "psycopg-pool", "SQLAlchemy", "httpx", "hvac")


def describe() -> dict[str, str]:
    """Return what to print beside the figures."""
    return {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "Vault": binaries.resolve("vault").version,
        "PostgreSQL": str(postgres.resolve().version),
        **{name: version(name) for name in _PACKAGES},
        "load of others at the start": f"{os.getloadavg()[0]:.1f} (1 min)",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
