"""A configured Vault: its address, its token, the types it serves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tools.offline_plugins.server import Kind, ResourceError
from tools.offline_plugins.vault.client import Client, Connection, VaultError

_CHILD_TOKEN_NAME = "terraform"  # noqa: S105 the display name that the published plugin gives
_CHILD_TOKEN_SECONDS = 1200
_TRUE = {"1", "t", "true"}


class VaultBackend:
    """The backend of the protocol server."""

    package = "vault"

    def __init__(self) -> None:
        self._client: Client | None = None
        self._child: str = ""

    def configure(self, config: dict[str, Any]) -> None:
        """Take address, token and TLS; make the child token unless the program skips it.

        Raises ResourceError. Without an address there is no client, and a preview of a stack whose
        Vault is yet to be made goes on without one.
        """
        connection = _connection(config)
        if not connection.address:
            return
        self._client = Client(connection)
        skips = _flag(config, "skipChildToken", "TERRAFORM_VAULT_SKIP_CHILD_TOKEN")
        if connection.token and not skips:
            self._child = self._make_child(config)
            self._client = Client(_connection({**config, "token": self._child}))

    def kind(self, token: str) -> Kind | None:
        """The type behind a token."""
        from tools.offline_plugins.vault import catalog  # noqa: PLC0415 not before it is needed

        spec = catalog.find(token)
        return None if spec is None else spec.bind(self.client)

    def client(self) -> Client:
        """The client; raises ResourceError while the provider has no address."""
        if self._client is None:
            raise ResourceError(
                "provider: no address: give the provider one, or set VAULT_ADDR and VAULT_TOKEN"
            )
        return self._client

    def close(self) -> None:
        """Revoke the child token, and with it whatever it read."""
        child, self._child = self._child, ""
        if child and self._client is not None:
            try:
                self._client.write("auth/token/revoke-self", {})
            except VaultError:
                return  # it ends by itself, and nobody is left to be told

    def _make_child(self, config: dict[str, Any]) -> str:
        lifetime = f"{config.get('maxLeaseTtlSeconds') or _CHILD_TOKEN_SECONDS}s"
        answer = self.client().write(
            "auth/token/create",
            {
                "display_name": config.get("tokenName") or _CHILD_TOKEN_NAME,
                "ttl": lifetime,
                "explicit_max_ttl": lifetime,
                "renewable": False,
            },
        )
        return str(answer["auth"]["client_token"])


def _connection(config: dict[str, Any]) -> Connection:
    certificate = config.get("clientAuth") or {}
    files = (certificate.get("certFile"), certificate.get("keyFile"))
    retries = config.get("maxRetries")
    return Connection(
        address=_text(config, "address", "VAULT_ADDR"),
        token=_text(config, "token", "VAULT_TOKEN") or _token_file(),
        namespace=_text(config, "namespace", "VAULT_NAMESPACE"),
        max_retries=2 if retries is None else int(retries),
        headers={str(h["name"]): str(h["value"]) for h in config.get("headers") or []},
        ca_cert_file=_text(config, "caCertFile", "VAULT_CACERT"),
        ca_cert_dir=_text(config, "caCertDir", "VAULT_CAPATH"),
        skip_tls_verify=_flag(config, "skipTlsVerify", "VAULT_SKIP_VERIFY"),
        tls_server_name=_text(config, "tlsServerName", "VAULT_TLS_SERVER_NAME"),
        client_cert=(str(files[0]), str(files[1])) if files[0] and files[1] else None,
    )


def _text(config: dict[str, Any], name: str, variable: str) -> str:
    return str(config.get(name) or os.environ.get(variable, ""))


def _flag(config: dict[str, Any], name: str, variable: str) -> bool:
    value = config.get(name)
    return os.environ.get(variable, "").lower() in _TRUE if value is None else bool(value)


def _token_file() -> str:
    """The token that `vault login` leaves, as the published plugin takes it."""
    try:
        return (Path.home() / ".vault-token").read_text(encoding="utf-8").strip()
    except (OSError, RuntimeError):
        return ""
