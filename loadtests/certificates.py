"""libpq and requests want a certificate authority as a file; a target carries it as text."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
import threading
from pathlib import Path

_folder: Path | None = None
_lock = threading.Lock()  # pools are opened side by side


def pem_file(pem: str) -> Path:
    """Return a file that holds `pem`; it goes when the process ends. Certificates are public."""
    global _folder  # noqa: PLW0603 - one folder a process, made when it is first wanted
    with _lock:
        if _folder is None:
            _folder = Path(tempfile.mkdtemp(prefix="loadtests-ca-"))
            atexit.register(shutil.rmtree, _folder, ignore_errors=True)
        path = _folder / f"{hashlib.sha256(pem.encode()).hexdigest()[:16]}.pem"
        if not path.exists():
            path.write_text(pem, encoding="utf-8")
        return path
