"""A thin client of Toxiproxy's HTTP API: what the faults need of it."""

from __future__ import annotations

from typing import Any

import httpx

from drills.errors import FaultError


class Toxiproxy:
    """The fault proxy of one stack. Holds no connection between calls.

    Methods raise `FaultError` when it does not answer, or refuses.
    """

    def __init__(self, api: str) -> None:
        self._api = api.rstrip("/")

    def _call(
        self, method: str, path: str, json: Any = None, *, absent: int | None = None
    ) -> dict[str, Any]:
        try:
            answer = httpx.request(
                method, f"{self._api}{path}", json=json, timeout=5, trust_env=False
            )
        except httpx.TransportError as error:
            raise FaultError(
                f"the fault proxy at {self._api} does not answer ({type(error).__name__}): "
                "run `pulumi up`, which starts it"
            ) from None
        if answer.status_code == absent:
            return {}
        if not answer.is_success:
            words = " ".join(answer.text.split())[:200]
            raise FaultError(f"the fault proxy answered {answer.status_code} to {path}: {words}")
        body: dict[str, Any] = answer.json() if answer.content else {}
        return body

    def proxy(self, name: str) -> dict[str, Any]:
        """Return `listen`, `upstream`, `enabled` and `toxics` of a proxy."""
        return self._call("GET", f"/proxies/{name}")

    def listener(self, name: str) -> tuple[str, int]:
        """Return host and port where the proxy listens, as this machine reaches it."""
        host, _, port = str(self.proxy(name)["listen"]).rpartition(":")
        # of a container's: everywhere inside, and published on loopback
        return "127.0.0.1" if host in {"0.0.0.0", "[::]"} else host, int(port)  # noqa: S104

    def enable(self, name: str, *, on: bool) -> None:
        """Let the proxy through, or close its listener and all its connections."""
        self._call("POST", f"/proxies/{name}", {"enabled": on})

    def add(
        self, name: str, toxic: str, kind: str, attributes: dict[str, int], *, stream: str
    ) -> None:
        """Add a toxic (`stream`: `upstream` or `downstream`); it is there already: no error."""
        if toxic in self.toxics(name):
            return
        body = {"name": toxic, "type": kind, "stream": stream, "attributes": attributes}
        self._call("POST", f"/proxies/{name}/toxics", body)

    def remove(self, name: str, toxic: str) -> None:
        """Take a toxic away; it is not there: no error."""
        self._call("DELETE", f"/proxies/{name}/toxics/{toxic}", absent=404)

    def toxics(self, name: str) -> list[str]:
        """Return the names of a proxy's toxics."""
        return [str(toxic["name"]) for toxic in self.proxy(name)["toxics"]]
