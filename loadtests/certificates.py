"""libpq and requests want a certificate authority as a file; a target carries it as text."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from functools import cache
from pathlib import Path


@cache
def _folder() -> Path:
    path = Path(tempfile.mkdtemp(prefix="loadtests-ca-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def pem_file(pem: str) -> Path:
    """Return a file that holds `pem`; it goes when the process ends. Certificates are public."""
    path = _folder() / f"{hashlib.sha256(pem.encode()).hexdigest()[:16]}.pem"
    if not path.exists():
        fresh = path.with_suffix(f".{id(pem)}")
        fresh.write_text(pem, encoding="utf-8")
        fresh.replace(path)
    return path
