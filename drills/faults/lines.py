"""Connections through the fault proxy that are open before a fault: the proof that it hits those
as well. Some toxics of some versions miss them (Shopify/toxiproxy#148)."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import time
from collections.abc import Iterator
from typing import Protocol

import psycopg

from drills.errors import FaultError
from drills.faults.base import Scene
from drills.toxiproxy import Toxiproxy

#: How long (seconds) an answer may take before the line counts as hung.
PATIENCE = 1.5


class Line(Protocol):
    """One open connection through a proxy."""

    proxy: str

    def ask(self) -> float:
        """Ask something and return the seconds until the answer. Raises `TimeoutError` when none
        comes, `ConnectionError` when the connection has ended."""


class VaultLine:
    """A TLS connection to one node that is kept alive."""

    def __init__(self, scene: Scene, proxy: str) -> None:
        self.proxy = proxy
        host, port = Toxiproxy(scene.platform.proxy.api).listener(proxy)
        tls = ssl.create_default_context(cadata=scene.platform.vault.ca_pem)
        self._http = http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=tls)
        self._http.connect()
        self._http.auto_open = 0  # a new connection would prove nothing

    def ask(self) -> float:
        """Ask for the node's health."""
        started = time.monotonic()
        try:
            self._http.request("GET", "/v1/sys/health")
            self._http.getresponse().read()
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(type(error).__name__) from None
        return time.monotonic() - started

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


class PostgresLine:
    """A session of the observer's."""

    def __init__(self, scene: Scene, proxy: str) -> None:
        self.proxy = proxy
        host, port = Toxiproxy(scene.platform.proxy.api).listener(proxy)
        self._session = scene.database.connect(host=host, port=port)

    def ask(self) -> float:
        """Run a statement."""
        started = time.monotonic()
        try:
            self._session.execute("SELECT 1")
        except psycopg.OperationalError as error:
            raise ConnectionError(type(error).__name__) from None
        return time.monotonic() - started

    def close(self) -> None:
        """Close the session."""
        self._session.close()


@contextlib.contextmanager
def open_lines(scene: Scene, proxies: list[str]) -> Iterator[list[Line]]:
    """Lend a line through each proxy that has answered once: to Postgres through those that
    lead there, else to the Vault node of that name.

    Raises `FaultError` when one does not answer.
    """
    with contextlib.ExitStack() as closing:
        lines: list[Line] = []
        for proxy in proxies:
            kind = VaultLine if proxy in scene.vault.nodes else PostgresLine
            try:
                line = closing.enter_context(contextlib.closing(kind(scene, proxy)))
                line.ask()
            except (OSError, psycopg.OperationalError) as error:
                raise FaultError(
                    f"no answer through proxy {proxy} even without a fault "
                    f"({type(error).__name__}): is what it leads to down?"
                ) from None
            lines.append(line)
        yield lines
