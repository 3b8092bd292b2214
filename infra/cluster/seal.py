"""The small Vault that unseals the others: one node, a transit key, a periodic token.

What a KMS does for a Vault in a cloud. Its own seal is a single share, which the stack's state
keeps (encrypted) and gives back after a restart.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import hvac
import requests
from hvac.exceptions import VaultError

from infra.cluster.configuration import SEAL_KEY
from infra.cluster.process import ServerProcess
from infra.cluster.root_token import generate_root
from infra.cluster.server_program import server_environment
from infra.waiting import wait_for
from tools.binaries import resolve

_POLICY = f"""path "transit/encrypt/{SEAL_KEY}" {{ capabilities = ["update"] }}
path "transit/decrypt/{SEAL_KEY}" {{ capabilities = ["update"] }}
"""
#: The nodes renew it; it outlives a stack that is down for a month.
_PERIOD = "768h"


class SealVault:
    """The process under `folder`; knows it by the files there alone."""

    def __init__(self, folder: Path, ca_file: Path) -> None:
        self.folder = folder
        self._ca_file = ca_file
        self._port_file = folder / "port.json"
        self._token_file = folder / "token"

    def exists(self) -> bool:
        """Return whether the stack has one, running or not."""
        return self._port_file.exists()

    def lay_out(self, port: int, configuration: str) -> None:
        """Write its configuration; its certificate is there already."""
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        (self.folder / "vault.hcl").write_text(configuration)
        self._port_file.write_text(json.dumps(port))

    def _process(self) -> ServerProcess:
        return ServerProcess("vault", self.folder, f"-config={self.folder / 'vault.hcl'}")

    def _client(self, token: str | None = None) -> Any:
        port = json.loads(self._port_file.read_text())
        client = hvac.Client(url=f"https://127.0.0.1:{port}", verify=str(self._ca_file), timeout=10)
        client.token = token
        return client

    def token(self) -> str:
        """Return the nodes' token; empty when its file has gone (`mend` makes another)."""
        try:
            return self._token_file.read_text()
        except FileNotFoundError:
            return ""

    def _keep_token(self, client: Any) -> None:
        """Make the nodes' token with a root token, which is revoked."""
        client.sys.create_or_update_policy("unseal", _POLICY)
        made = client.auth.token.create_orphan(
            policies=["unseal"], period=_PERIOD, display_name="unseal", no_default_policy=False
        )
        client.auth.token.revoke_self()
        self._token_file.touch(mode=0o600)
        self._token_file.write_text(str(made["auth"]["client_token"]))

    def _start(self) -> None:
        process = self._process()
        process.start(
            [str(resolve("vault").path), "server", process.mark],
            cwd=self.folder,
            env=server_environment(),
        )
        client = self._client()

        def answers() -> bool:
            try:
                client.sys.read_seal_status()
            except (requests.RequestException, VaultError):
                return False
            return True

        wait_for(
            answers,
            "the seal Vault answering",
            seconds=20,
            still_possible=lambda: None if process.find() else f"it died: {process.last_words()}",
        )

    def _unseal(self, key: str) -> None:
        client = self._client()

        def active() -> bool:
            try:
                if client.sys.is_sealed():
                    client.sys.submit_unseal_key(key)
                return bool(client.sys.read_leader_status()["is_self"])
            except (requests.RequestException, VaultError):
                return False

        wait_for(active, "the seal Vault unsealing", seconds=30)

    def provision(self) -> str:
        """Make it from nothing; return its unseal key. Its root token is gone afterwards."""
        self._start()
        told = self._client().sys.initialize(1, 1)
        key = str(told["keys_base64"][0])
        self._unseal(key)
        client = self._client(str(told["root_token"]))
        client.sys.enable_secrets_engine("transit")
        client.secrets.transit.create_key(SEAL_KEY)
        self._keep_token(client)
        return key

    def mend(self, key: str) -> None:
        """Start and unseal it; make the nodes' token anew when it is no longer good."""
        self._start()
        self._unseal(key)
        if not self._token_works():
            client = self._client()
            client.token = generate_root(client, [key])
            self._keep_token(client)

    def _token_works(self) -> bool:
        try:
            self._client(self.token()).auth.token.lookup_self()
        except hvac.exceptions.Forbidden:
            return False
        return True

    def ailments(self) -> list[str]:
        """Return what is wrong with it now."""
        if self._process().find() is None:
            return ["the seal Vault is not running"]
        try:
            if self._client().sys.is_sealed():
                return ["the seal Vault is sealed"]
            return [] if self._token_works() else ["the seal's token is no longer good"]
        except (requests.RequestException, VaultError):
            return ["the seal Vault does not answer"]

    def stop(self) -> None:
        """End its process at once."""
        self._process().stop(sign=signal.SIGKILL, seconds=5)
