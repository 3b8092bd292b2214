"""A real Vault (one raft node) and a real Postgres, on free ports of the loopback."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tools import binaries, postgres
from tools.offline_plugins.vault.client import Client, Connection, VaultError

_START_SECONDS = 40.0
_POLL_SECONDS = 0.05


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class VaultServer:
    """A running Vault and its root token."""

    address: str
    token: str

    @property
    def client(self) -> Client:
        """The API, as root."""
        return Client(Connection(address=self.address, token=self.token))


@dataclass(frozen=True)
class PostgresServer:
    """A running Postgres and its superuser's password."""

    port: int
    password: str

    def connect(self, database: str = "postgres", user: str = "postgres") -> Any:
        """A connection in autocommit."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=user,
            password=self.password,
            dbname=database,
            autocommit=True,
        )


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block."""
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(condition: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the condition holds; fails with the end of the log."""
    deadline = time.monotonic() + _START_SECONDS
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"not up: {log.read_text(errors='replace')[-2000:]}")
        threading.Event().wait(_POLL_SECONDS)


@contextmanager
def vault(folder: Path) -> Iterator[VaultServer]:
    """One raft node without TLS, unsealed and active."""
    port, cluster = free_port(), free_port()
    (folder / "raft").mkdir()
    config = {
        "storage": {"raft": {"path": str(folder / "raft"), "node_id": "one"}},
        "listener": {"tcp": {"address": f"127.0.0.1:{port}", "tls_disable": True}},
        "api_addr": f"http://127.0.0.1:{port}",
        "cluster_addr": f"http://127.0.0.1:{cluster}",
        "disable_mlock": True,
    }
    (folder / "vault.json").write_text(json.dumps(config))
    binary = str(binaries.resolve("vault").path)
    log = folder / "vault.log"
    address = f"http://127.0.0.1:{port}"
    command = [binary, "server", f"-config={folder / 'vault.json'}"]
    with running(command, log) as process:
        wait_until(lambda: _status(port) is not None, process, log)
        anonymous = Client(Connection(address=address))
        made = anonymous.write("sys/init", {"secret_shares": 1, "secret_threshold": 1})
        anonymous.write("sys/unseal", {"key": made["keys"][0]})
        wait_until(lambda: _status(port) == 200, process, log)
        yield VaultServer(address, made["root_token"])


def _status(port: int) -> int | None:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/v1/sys/health")
        return connection.getresponse().status
    except OSError:
        return None


@contextmanager
def postgres_server(folder: Path) -> Iterator[PostgresServer]:
    """A cluster in the C.UTF-8 locale, as the recording's was."""
    found = postgres.resolve()
    account = postgres.server_account()
    folder.chmod(0o755)
    data, password = folder / "data", secrets.token_urlsafe(16)
    data.mkdir()
    (folder / "password").write_text(password)
    if account is not None:
        for path in (data, folder / "password"):
            os.chown(path, account.pw_uid, account.pw_gid)
    initdb = [
        str(found.bin_dir / "initdb"),
        "-D",
        str(data),
        "-U",
        "postgres",
        "-A",
        "scram-sha-256",
    ]
    initdb += [f"--pwfile={folder / 'password'}", "--locale=C.UTF-8", "-E", "UTF8", "--no-sync"]
    subprocess.run(postgres.as_server_account(initdb), check=True, capture_output=True)
    port, log = free_port(), folder / "postgres.log"
    command = [str(found.bin_dir / "postgres"), "-D", str(data), "-p", str(port), "-k", ""]
    command += ["-h", "127.0.0.1", "-F"]
    server = PostgresServer(port, password)
    with running(postgres.as_server_account(command), log) as process:
        wait_until(lambda: _answers(server), process, log)
        yield server
    shutil.rmtree(data, ignore_errors=True)


def _answers(server: PostgresServer) -> bool:
    try:
        server.connect().close()
    except psycopg.OperationalError:
        return False
    return True


def is_gone(client: Client, path: str) -> bool:
    """Whether Vault has nothing at this path."""
    try:
        return client.get(path) is None
    except VaultError:
        return True
