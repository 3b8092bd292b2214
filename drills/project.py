"""The Pulumi project as `drill rotate` needs it: the right to provision, and what it declares."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from drills.errors import SetupError
from tools.environment import pulumi_environment

_SECRET_ID = "vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId"  # noqa: S105 - a type
_PROVIDER = "pulumi:providers:vault"


class Project:
    """One stack of the project in `root`. Whoever can read its state's secrets can do all this."""

    def __init__(self, root: Path, stack: str) -> None:
        self._root, self._stack = root, stack

    def _pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *arguments, "--stack", self._stack, "--non-interactive", "--color=never"],
            cwd=self._root,
            env=pulumi_environment(self._root),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def _resources(self, *, secrets: bool) -> list[dict[str, Any]]:
        told = self._pulumi("stack", "export", *(["--show-secrets"] if secrets else []))
        if told.returncode:
            raise SetupError(f"stack {self._stack}: {_reason(told)}")
        return list((json.loads(told.stdout).get("deployment") or {}).get("resources") or [])

    def provisioner_token(self) -> str:
        """Return the token by which `pulumi up` declares what is in Vault, out of the state.

        Raises `SetupError` where the state can't be read or its provider has no token of its own.
        """
        for resource in self._resources(secrets=True):
            if resource.get("type") == _PROVIDER:
                token = (resource.get("inputs") or {}).get("token")
                if isinstance(token, dict):
                    token = json.loads(token.get("plaintext") or "null")
                if token:
                    return str(token)
        raise SetupError(
            f"stack {self._stack}: its state has no token for Vault: run `pulumi up` first"
        )

    def reissue_secret_ids(self, service: str) -> None:
        """Let `pulumi up` make the service's secret id anew, and nothing else.

        Its refresh finds that the old one is gone. State and outputs then hold the new one, so
        that no later `up` finds a difference. Raises `SetupError` with Pulumi's reason.
        """
        urns = [
            resource["urn"]
            for resource in self._resources(secrets=False)
            if resource.get("type") == _SECRET_ID
            and (resource.get("outputs") or {}).get("roleName") == service
        ]
        if not urns:
            raise SetupError(f"stack {self._stack} declares no secret id of {service}")
        targets = [part for urn in urns for part in ("--target", urn)]
        done = self._pulumi(
            "up", "--yes", "--skip-preview", "--refresh", "--suppress-outputs", *targets
        )
        if done.returncode:
            raise SetupError(f"`pulumi up` for the secret id of {service}: {_reason(done)}")


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines()]
    errors = [line for line in lines if line.startswith("error:")]
    return (errors or lines or ["no reason given"])[0]
