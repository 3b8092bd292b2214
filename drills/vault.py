"""The harness's own access to Vault: the nodes directly, never through the fault proxy."""

from __future__ import annotations

import ssl
import time
from typing import Any

import httpx

from drills.errors import VaultRefused, VaultUnreachable
from infra.platform import Platform

#: Answers that another node, or the same one a moment later, may not give again.
_TRY_AGAIN = {307, 412, 429, 472, 473, 500, 502, 503, 504}


class Vault:
    """Calls with the drill operator's token, or another. Threads may share it."""

    def __init__(self, platform: Platform, *, token: str | None = None) -> None:
        self.nodes = {node.name: node.address for node in platform.vault.nodes}
        context = ssl.create_default_context(cadata=platform.vault.ca_pem)
        self._http = httpx.Client(
            verify=context,
            timeout=httpx.Timeout(5, connect=1),
            headers={"X-Vault-Request": "true"},
            trust_env=False,
        )
        own = platform.vault.operator_token.get_secret_value()
        self.token = own if token is None else token

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def health(self, node: str, *, timeout: float = 1.0) -> int | None:
        """Return the HTTP status of the node's sys/health, None when it does not answer."""
        try:
            return self._http.get(f"{self.nodes[node]}/v1/sys/health", timeout=timeout).status_code
        except httpx.TransportError:
            return None

    def active_node(self) -> str | None:
        """Return the name of the node that says it leads."""
        for node in self.nodes:
            if self.health(node) == httpx.codes.OK:
                return node
        return None

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        seconds: float = 15,
        timeout: float | None = None,
        node: str | None = None,
    ) -> dict[str, Any]:
        """Return the body of the first good answer of any node, tried until `seconds` are over.

        `timeout` is one attempt's. `node` is the only one to ask: a standby passes requests on,
        but not those that concern a node itself. A 404 of a LIST is an empty answer.
        Raises `VaultRefused` for an answer that trying again does not change, `VaultUnreachable`
        when time is up.
        """
        deadline = time.monotonic() + seconds
        last = "no node was tried"
        while True:
            for name, address in self.nodes.items():
                if node not in {None, name}:
                    continue
                try:
                    answer = self._http.request(
                        method,
                        f"{address}/v1/{path}",
                        json=json,
                        headers={"X-Vault-Token": self.token} if self.token else {},
                        timeout=timeout if timeout is not None else httpx.USE_CLIENT_DEFAULT,
                    )
                except httpx.TransportError as error:
                    last = f"{name}: {type(error).__name__}"
                    continue
                if answer.is_success:
                    body: dict[str, Any] = answer.json() if answer.content else {}
                    return body
                if method == "LIST" and answer.status_code == httpx.codes.NOT_FOUND:
                    return {}
                if answer.status_code not in _TRY_AGAIN:
                    raise VaultRefused(answer.status_code, path, _words(answer))
                last = f"{name}: {answer.status_code} {_words(answer)}"
            if time.monotonic() >= deadline:
                raise VaultUnreachable(f"{method} {path}: not within {seconds:g} s ({last})")
            time.sleep(0.1)

    def list_keys(self, path: str, *, seconds: float = 15) -> list[str]:
        """Return the keys under `path`."""
        data = self.call("LIST", path, seconds=seconds).get("data") or {}
        return list(data.get("keys", []))


def _words(answer: httpx.Response) -> str:
    try:
        errors = answer.json().get("errors") or []
    except ValueError:
        errors = [answer.text[:200]]
    return "; ".join(str(error) for error in errors) or "no reason given"
