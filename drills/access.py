"""Access to Vault under another name than the drill operator's."""

from __future__ import annotations

import json
import subprocess
from functools import cache

from pydantic import SecretStr

from drills.errors import SetupError
from drills.redact import Secrets
from drills.vault import Vault
from infra.platform import Platform
from tools.environment import find_root, pulumi_environment


def as_token(platform: Platform, token: str) -> Vault:
    """Return a client that calls with `token`; the caller closes it."""
    vault = platform.vault.model_copy(update={"operator_token": SecretStr(token)})
    return Vault(platform.model_copy(update={"vault": vault}))


def as_provisioner(platform: Platform, secrets: Secrets) -> Vault:
    """Return a client with the rights of `pulumi up`; the caller closes it.

    The drill operator may not change the stack's own configuration, on purpose. Who may read the
    stack's state in clear may: the token is in there, and made known to `secrets`. Raises
    `SetupError` when it can't be read.
    """
    token = _provisioner_token(platform.stack)
    secrets.add("token", token)
    return as_token(platform, token)


@cache
def _provisioner_token(stack: str) -> str:
    root = find_root()
    told = subprocess.run(
        ["pulumi", "stack", "export", "--show-secrets", "--stack", stack],
        cwd=root,
        env=pulumi_environment(root),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        reason = (told.stderr.strip().splitlines() or ["no reason given"])[0]
        raise SetupError(f"stack {stack}: its state can't be exported: {reason}")
    for resource in json.loads(told.stdout)["deployment"].get("resources") or []:
        token = (resource.get("outputs") or {}).get("provisioner_token")
        if token:
            # a secret output is {signature, plaintext: JSON}
            return str(json.loads(token["plaintext"]) if isinstance(token, dict) else token)
    raise SetupError(f"stack {stack}: its state holds no provisioner's token: run `pulumi up`")
