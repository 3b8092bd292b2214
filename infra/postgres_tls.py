"""TLS in front of a PostgreSQL that was built without it (PyPI's embedded one is).

Speaks the start of Postgres's protocol (SSLRequest, answered with `S`; see "SSL Session
Encryption" in the PostgreSQL documentation), does the TLS handshake, and relays what follows to
the server's socket. Who does not ask for TLS is refused, as `hostssl` in pg_hba.conf would.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import struct
import sys
from pathlib import Path

_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104
_HELLO_SECONDS = 10
_REFUSAL = b"SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry for this host: no encryption\0\0"


async def _begin_tls(
    tls: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """Take the client's first words; return whether the connection is encrypted now."""
    code = _GSS_REQUEST
    while code == _GSS_REQUEST:
        _length, code = struct.unpack("!ii", await reader.readexactly(8))
        if code == _GSS_REQUEST:
            writer.write(b"N")
    if code != _SSL_REQUEST:
        writer.write(b"E" + struct.pack("!i", len(_REFUSAL) + 4) + _REFUSAL)
        await writer.drain()
        return False
    writer.write(b"S")
    await writer.start_tls(tls)
    return True


async def _serve_one(
    socket: str,
    tls: ssl.SSLContext,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    with contextlib.closing(writer), contextlib.suppress(OSError, EOFError):
        async with asyncio.timeout(_HELLO_SECONDS):
            if not await _begin_tls(tls, reader, writer):
                return
            upstream = await asyncio.open_unix_connection(socket)
        await asyncio.gather(_carry(reader, upstream[1]), _carry(upstream[0], writer))


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    # An end that goes takes the other one with it: half a connection helps nobody in Postgres.
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except OSError:  # ssl.SSLError is one
        pass
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            sink.close()


async def serve(port: int, socket: str, certificate: str, key: str) -> None:
    """Serve on 127.0.0.1:`port` for the server behind the unix `socket`, until ended."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.load_cert_chain(certificate, key)

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _serve_one(socket, tls, reader, writer)

    server = await asyncio.start_server(one, "127.0.0.1", port, backlog=512)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Take the configuration file (`port`, `socket`, `certificate`, `key`) as the only argument."""
    config = json.loads(Path(sys.argv[1]).read_text())
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(**config))


if __name__ == "__main__":
    main()
