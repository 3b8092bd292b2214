"""Vault's HTTP API: one connection a thread, redirects to the leader, patience with an election."""

from __future__ import annotations

import http.client
import json
import random
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from tools.offline_plugins.server import ResourceError

_PATIENCE_SECONDS = 15.0
_TIMEOUT_SECONDS = 60.0
_FIRST_DELAY_SECONDS = 0.1
_LONGEST_DELAY_SECONDS = 1.5
_MAX_REDIRECTS = 3
_UNAVAILABLE = frozenset({412, 429, 472, 473, 502, 503})
_NOT_YET = (
    "active node",
    "active cluster node",
    "not active",
    "no leader",
    "Vault is sealed",
    "Upgrading from non-versioned",  # a key-value engine of version 2, just mounted
)
_LINE_LENGTH = 600


class VaultError(ResourceError):
    """Vault refused a call (`status`), or nobody answered (`status` 0) before patience ran out."""

    def __init__(self, method: str, path: str, status: int, errors: Iterable[str]) -> None:
        self.status = status
        self.errors = [" ".join(error.split()) for error in errors]
        reason = "; ".join(self.errors)[:_LINE_LENGTH] or "no reason given"
        said = f"HTTP {status}" if status else "no answer"
        super().__init__(f"{method} {path}: {said}: {reason}")


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where Vault is and how to trust it. The token is kept out of every text."""

    address: str
    token: str = field(repr=False, default="")
    namespace: str = ""
    max_retries: int = 2
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    ca_cert_file: str = ""
    ca_cert_dir: str = ""
    skip_tls_verify: bool = False
    tls_server_name: str = ""
    client_cert: tuple[str, str] | None = None

    def context(self) -> ssl.SSLContext:
        """The TLS settings; raises ResourceError when a file of theirs can't be read."""
        try:
            context = ssl.create_default_context(
                cafile=self.ca_cert_file or None, capath=self.ca_cert_dir or None
            )
            if self.client_cert:
                context.load_cert_chain(*self.client_cert)
        except OSError as error:
            raise ResourceError(f"provider: the TLS files can't be read: {error}") from error
        if self.skip_tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Client:
    """Calls on one Vault. Safe to use from several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._local = threading.local()
        self._context = connection.context() if connection.address.startswith("https") else None

    def get(self, path: str, *, namespace: str | None = None) -> dict[str, Any] | None:
        """Read a path; None when there is nothing. Raises VaultError."""
        try:
            return self.call("GET", path, namespace=namespace)
        except VaultError as error:
            if error.status == http.client.NOT_FOUND:
                return None
            raise

    def write(
        self, path: str, body: Mapping[str, Any], *, namespace: str | None = None
    ) -> dict[str, Any]:
        """Write to a path. Raises VaultError."""
        return self.call("POST", path, body, namespace=namespace) or {}

    def delete(self, path: str, *, namespace: str | None = None) -> None:
        """Delete a path; what is gone already is fine. Raises VaultError."""
        try:
            self.call("DELETE", path, namespace=namespace)
        except VaultError as error:
            if error.status != http.client.NOT_FOUND:
                raise

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        namespace: str | None = None,
        wrap_ttl: str = "",
        token: str | None = None,
    ) -> dict[str, Any] | None:
        """One call, repeated while Vault has no leader or fails on its side. Raises VaultError."""
        headers = {
            "X-Vault-Request": "true",
            "X-Vault-Token": self._connection.token if token is None else token,
            "Content-Type": "application/json",
            **self._connection.headers,
        }
        spaces = [self._connection.namespace.strip("/"), (namespace or "").strip("/")]
        if any(spaces):
            headers["X-Vault-Namespace"] = "/".join(space for space in spaces if space)
        if wrap_ttl:
            headers["X-Vault-Wrap-TTL"] = wrap_ttl
        payload = None if body is None else json.dumps(body).encode()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        attempt = 0
        while True:
            status, answer, errors = self._once(method, path, payload, headers)
            if 200 <= status < 300:
                return answer
            attempt += 1
            waiting = status == 0 or status in _UNAVAILABLE or _not_yet(errors)
            failing = status >= 500 and attempt <= self._connection.max_retries
            delay = min(_FIRST_DELAY_SECONDS * 2**attempt, _LONGEST_DELAY_SECONDS)
            delay *= random.uniform(0.5, 1.0)  # noqa: S311 spreads retries, keeps no secret
            if not (waiting or failing) or time.monotonic() + delay > deadline:
                raise VaultError(method, path, status, self._clean(errors, payload))
            threading.Event().wait(delay)

    def _once(
        self, method: str, path: str, payload: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any] | None, list[str]]:
        url = f"{self._connection.address.rstrip('/')}/v1/{quote(path, safe='/:@+,~-_.')}"
        for _ in range(_MAX_REDIRECTS + 1):
            try:
                response, text = self._send(method, url, payload, headers)
            except (OSError, http.client.HTTPException) as error:
                return 0, None, [f"{type(error).__name__}: {error}"]
            location = response.getheader("Location")
            if response.status in {301, 302, 307, 308} and location:
                url = location
                continue
            return response.status, *_parse(response.status, text)
        return 0, None, ["too many redirects"]

    def _send(
        self, method: str, url: str, payload: bytes | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        pool: dict[str, http.client.HTTPConnection] = self._local.__dict__.setdefault("pool", {})
        origin = f"{parts.scheme}://{parts.netloc}"
        reused = origin in pool
        if not reused:
            pool[origin] = self._open(parts.scheme, parts.hostname or "", parts.port)
        try:
            pool[origin].request(method, target, payload, dict(headers))
            response = pool[origin].getresponse()
            return response, response.read()
        except (OSError, http.client.HTTPException):
            pool.pop(origin).close()
            if not reused:
                raise
        # The kept connection had gone: nothing was answered on it, so ask once more on a new one.
        return self._send(method, url, payload, headers)

    def _open(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme != "https" or self._context is None:
            return http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
        connection = http.client.HTTPSConnection(
            host, port, timeout=_TIMEOUT_SECONDS, context=self._context
        )
        if self._connection.tls_server_name:
            _present_as(connection, self._connection.tls_server_name)
        return connection

    def _clean(self, errors: Iterable[str], payload: bytes | None) -> list[str]:
        """The errors without the token, and without any long value that was sent."""
        hidden = {self._connection.token} if self._connection.token else set()
        if payload:
            hidden |= {text for text in _texts(json.loads(payload)) if len(text) >= 8}
        cleaned = []
        for error in errors:
            text = error
            for secret in sorted(hidden, key=len, reverse=True):
                if _secretive(secret):
                    text = text.replace(secret, "[redacted]")
            cleaned.append(text)
        return cleaned


def _secretive(text: str) -> bool:
    """Paths, SQL and prose stay readable; one dense word could be a secret."""
    return not any(letter in text for letter in " /{\n")


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _not_yet(errors: Iterable[str]) -> bool:
    return any(sign in error for error in errors for sign in _NOT_YET)


def _parse(status: int, text: bytes) -> tuple[dict[str, Any] | None, list[str]]:
    if not text.strip():
        return None, []
    try:
        answer = json.loads(text)
    except ValueError:
        return None, ["the answer is not JSON"]
    if not isinstance(answer, dict):
        return None, []
    errors = [str(error) for error in answer.get("errors") or []]
    if status >= 400 and not errors:
        errors = [str(warning) for warning in answer.get("warnings") or []]
    return answer, errors


def _present_as(connection: http.client.HTTPSConnection, name: str) -> None:
    """Verify the certificate against this name rather than against the address."""
    context: ssl.SSLContext = connection._context  # type: ignore[attr-defined]
    plain = context.wrap_socket

    def wrap(sock: Any, *, server_hostname: str | None = None) -> ssl.SSLSocket:
        del server_hostname
        return plain(sock, server_hostname=name)

    connection._context = type("Named", (), {"wrap_socket": staticmethod(wrap)})()  # type: ignore[attr-defined]
