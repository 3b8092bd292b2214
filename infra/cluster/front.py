"""One address for the whole local cluster: a TCP relay to the node that leads.

What a load balancer does for a Vault elsewhere. The Pulumi provider takes a single address, and
records it: with a node's own one, `refresh` and `destroy` would fail when just that node is down.
TLS goes through untouched, so every node's certificate is checked by the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
from pathlib import Path

import httpx

_LOOK_EVERY = 0.5  # seconds
_ACTIVE, _STANDBY = 200, 429


class Front:
    """Relays each connection to the active node, or to a standby while none is known."""

    def __init__(self, ports: list[int], ca_file: str) -> None:
        self._ports = ports
        self._status: dict[int, int | None] = dict.fromkeys(ports)
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._relays: set[asyncio.Task[None]] = set()

    async def look_on(self) -> None:
        """Ask every node's health, over and over."""
        async with httpx.AsyncClient(verify=self._tls, timeout=2, trust_env=False) as client:
            while True:
                await asyncio.gather(*(self._look(client, port) for port in self._ports))
                await asyncio.sleep(_LOOK_EVERY)

    async def _look(self, client: httpx.AsyncClient, port: int) -> None:
        try:
            answer = await client.get(f"https://127.0.0.1:{port}/v1/sys/health")
        except httpx.TransportError:
            self._status[port] = None
        else:
            self._status[port] = answer.status_code

    def _by_preference(self) -> list[int]:
        order = {_ACTIVE: 0, _STANDBY: 1, None: 3}
        return sorted(self._ports, key=lambda port: order.get(self._status[port], 2))

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection, either way, to its end."""
        for port in self._by_preference():
            try:
                upstream = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
            await asyncio.gather(_carry(reader, upstream[1]), _carry(upstream[0], writer))
            return
        writer.close()


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except OSError:
        pass  # either end may hang up whenever it likes
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            sink.close()


async def serve(port: int, nodes: list[int], ca_file: str) -> None:
    """Serve on 127.0.0.1:`port` until the process is ended."""
    front = Front(nodes, ca_file)
    server = await asyncio.start_server(front.relay, "127.0.0.1", port)
    async with server:
        await asyncio.gather(server.serve_forever(), front.look_on())


def main() -> None:
    """Take the configuration file (`port`, `nodes`, `ca_file`) as the only argument."""
    config = json.loads(Path(sys.argv[1]).read_text())
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(config["port"], config["nodes"], config["ca_file"]))


if __name__ == "__main__":
    main()
