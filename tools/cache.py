"""The cache that all checkouts share: built programs, each moved into place whole."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_dir() -> Path:
    """Return `${XDG_CACHE_HOME:-~/.cache}/rotation-drills`, made if missing."""
    base = os.environ.get("XDG_CACHE_HOME")
    path = (Path(base) if base else Path.home() / ".cache") / "rotation-drills"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def _locked(name: str) -> Iterator[None]:
    locks = cache_dir() / "locks"
    locks.mkdir(exist_ok=True)
    with (locks / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released by the kernel too, should this process die
        yield


def once(name: str, make: Callable[[Path], None]) -> Path:
    """Return the cached folder `name`; if it is missing, `make` fills a new one.

    Two callers at once make it once: the second waits for the first. The folder is filled beside
    its place and renamed, so that it is there whole or not at all; when `make` raises, nothing of
    it remains and the exception goes on.
    """
    place = cache_dir() / name
    if place.is_dir():
        return place
    with _locked(name):
        if place.is_dir():
            return place
        unfinished = Path(
            tempfile.mkdtemp(prefix=f"{name}.", suffix=".unfinished", dir=cache_dir())
        )
        try:
            make(unfinished)
            unfinished.chmod(0o755)
            unfinished.rename(place)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return place
