"""`VaultAgent`: a real Vault Agent that renders a dynamic role's credential into a file."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from loadtests.pools import agent_guard
from loadtests.secrets import handled, redact
from loadtests.target import AppRole, Jwt, Target
from loadtests.vault import VaultError
from tools import binaries
from tools.errors import ToolError

_POLL_SECONDS = 0.05
_STOP_SECONDS = 10.0
_TEMPLATE = "{{ with secret PATH }}{{ .Data | toJSON }}{{ end }}"
# what Vault's Go client says of an answer: "Code: 400. Errors:\n\n* unknown role"
_REFUSED = re.compile(r"Code: (4\d\d)\. Errors:\s*\*?\s*([^\n]*)")


class AgentFailed(VaultError):
    """Raised when Vault Agent can't be started, ends, is refused by Vault, or has not rendered the
    credential in time: the line has its last words. It is ended then, and its folder is gone."""


class VaultAgent:
    """`vault agent` as a child process. It logs in, takes a lease, renews it, and takes another
    when a renewal is cut short or refused; nobody tells it what Postgres says.

    All is in a folder that only this user can read: the configuration, the secret id until the
    agent has read it, the rendered credential. It goes when the agent ends, and the agent ends
    with this process, however that ends. On its command line there is the folder, no secret.
    """

    def __init__(self, target: Target) -> None:
        """Start it. Raises `AgentFailed` where there is no Vault binary."""
        try:
            vault = binaries.resolve("vault")
        except ToolError as error:
            raise AgentFailed(f"agent: {error}") from None
        if not vault.path.exists():
            raise AgentFailed("agent: there is no vault binary: run `drill tools install`")
        self._folder = Path(tempfile.mkdtemp(prefix="vault-agent-"))  # mode 0700
        self.file = self._folder / "credential.json"
        self._log = self._folder / "agent.log"
        try:
            config = self._folder / "agent.json"
            config.write_text(json.dumps(self._configuration(target)), encoding="utf-8")
            command = [str(vault.path), "agent", f"-config={config}", "-log-level=warn"]
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", str(agent_guard.__file__)),
                    *(str(self._folder), str(self._log), *command),
                ],
                stdin=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for us, who then close in order
            )
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def _configuration(self, target: Target) -> dict[str, Any]:
        """Return the agent's configuration. It takes one address: the target's first."""
        vault: dict[str, Any] = {"address": target.vault_addresses[0]}
        if target.vault_ca_pem:
            vault["ca_cert"] = str(self._secret("ca.pem", target.vault_ca_pem))
        if target.namespace:
            vault["namespace"] = target.namespace
        path = json.dumps(f"{target.database_mount}/creds/{target.role}")
        return {
            "vault": vault,
            "auto_auth": {"method": [self._method(target)]},
            "template": [
                {
                    "destination": str(self.file),
                    "perms": "0600",
                    "contents": _TEMPLATE.replace("PATH", path),
                }
            ],
        }

    def _method(self, target: Target) -> dict[str, Any]:
        auth = target.auth
        if isinstance(auth, AppRole):
            value = auth.secret_id.get_secret_value()
            handled("secret-id", value)
            config: dict[str, Any] = {
                "role_id_file_path": str(self._secret("role-id", auth.role_id)),
                "secret_id_file_path": str(self._secret("secret-id", value)),
                "remove_secret_id_file_after_reading": True,
            }
            return {"type": "approle", "mount_path": f"auth/{auth.mount}", "config": config}
        if isinstance(auth, Jwt):
            config = {
                "role": auth.role,
                "path": str(auth.path),
                "remove_jwt_after_reading": False,
            }
            return {"type": "jwt", "mount_path": f"auth/{auth.mount}", "config": config}
        return {"type": "token_file", "config": {"token_file_path": str(auth.path)}}

    def _secret(self, name: str, value: str) -> Path:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_text(value, encoding="utf-8")
        return path

    def wait(self, timeout: float) -> None:
        """Wait until the credential is rendered. Raises `AgentFailed`, and is closed then."""
        end = time.monotonic() + timeout
        while not self.file.exists():
            said = self._last_words()
            if refused := _REFUSED.search(said):
                problem = f"Vault answered {refused[1]} ({refused[2].strip()[:200]})"
            elif self._process.poll() is not None:
                problem = f"it ended with exit {self._process.returncode}: {_last_line(said)}"
            elif time.monotonic() >= end:
                problem = f"no credential within {timeout:g} s: {_last_line(said)}"
            else:
                time.sleep(_POLL_SECONDS)
                continue
            self.close()
            raise AgentFailed(f"agent: {redact(problem)}")

    def read(self) -> tuple[str, str]:
        """Return user and password as they are rendered now; it is replaced in one move.

        Raises `AgentFailed` when there is no such file (any more).
        """
        try:
            found = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise AgentFailed(f"agent: no credential to read ({type(error).__name__})") from None
        handled("password", found["password"])
        return found["username"], found["password"]

    def close(self) -> None:
        """End it and delete its folder. The lease is left: an agent has no way to give it back."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()  # the agent dies with its guard
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _last_words(self) -> str:
        with suppress(OSError):
            return self._log.read_text(encoding="utf-8", errors="replace")
        return ""


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "it said nothing"
