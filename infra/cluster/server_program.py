"""Vault or OpenBao: which of the two serves, and the environment it is started with."""

from __future__ import annotations

import os
import subprocess

from tools.binaries import Resolved


def is_openbao(program: Resolved) -> bool:
    """Return whether the program is OpenBao: by what it says, for it may be called anything."""
    said = subprocess.run(
        [program.path, "version"], capture_output=True, text=True, timeout=30, check=False
    )
    return "openbao" in said.stdout.lower()


def server_environment(*, seal_token: str | None = None) -> dict[str, str]:
    """Return the caller's environment without what would steer a server: VAULT_* and BAO_*.

    A VAULT_ADDR or VAULT_TOKEN of the caller's would take the place of the seal's own. Only the
    process's owner can read its environment; a command line is for everyone to see.
    """
    own = {
        key: value for key, value in os.environ.items() if not key.startswith(("VAULT_", "BAO_"))
    }
    if seal_token is None:
        return own
    return {**own, "VAULT_TOKEN": seal_token, "BAO_TOKEN": seal_token}  # whichever of them it is
