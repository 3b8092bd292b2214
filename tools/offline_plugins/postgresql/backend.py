"""A configured Postgres: where it is, who asks, the types it serves."""

from __future__ import annotations

import os
from typing import Any

from tools.offline_plugins.postgresql.session import Server, Settings
from tools.offline_plugins.server import Kind, ResourceError

_SCHEMES = ("", "postgres", "postgresql")


class PostgresqlBackend:
    """The backend of the protocol server."""

    package = "postgresql"

    def __init__(self) -> None:
        self._server: Server | None = None

    def configure(self, config: dict[str, Any]) -> None:
        """Take the settings; connects only when a resource asks. Raises ResourceError."""
        scheme = str(config.get("scheme") or "")
        if scheme not in _SCHEMES:
            raise ResourceError(f"provider: scheme {scheme}: the published plugin serves it")
        certificate = config.get("clientcert") or {}
        if certificate.get("sslinline"):
            raise ResourceError("provider: clientcert.sslinline: the published plugin serves it")
        self._server = Server(
            Settings(
                host=_text(config, "host", "PGHOST") or "localhost",
                port=int(_text(config, "port", "PGPORT") or 5432),
                user=_text(config, "username", "PGUSER") or "postgres",
                password=_text(config, "password", "PGPASSWORD"),
                database=_text(config, "database", "PGDATABASE") or "postgres",
                sslmode=_text(config, "sslmode", "PGSSLMODE") or str(config.get("sslMode") or ""),
                sslrootcert=_text(config, "sslrootcert", "PGSSLROOTCERT"),
                sslcert=str(certificate.get("cert") or ""),
                sslkey=str(certificate.get("key") or ""),
                connect_timeout=int(_text(config, "connectTimeout", "PGCONNECT_TIMEOUT") or 180),
                max_connections=int(config.get("maxConnections") or 20),
                superuser=bool(config.get("superuser", True)),
            )
        )

    def kind(self, token: str) -> Kind | None:
        """The type behind a token."""
        from tools.offline_plugins.postgresql import catalog  # noqa: PLC0415 not before needed

        return catalog.find(token, self.server)

    def server(self) -> Server:
        """The server; raises ResourceError while the provider is not configured."""
        if self._server is None:
            raise ResourceError("provider: not configured: give it host, username and password")
        return self._server

    def close(self) -> None:
        """Nothing stays open between calls."""


def _text(config: dict[str, Any], name: str, variable: str) -> str:
    value = config.get(name)
    return os.environ.get(variable, "") if value in (None, "") else str(value)
