"""A PostgreSQL server on this machine: TCP on loopback, TLS and SCRAM only."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pulumi
from pulumi.dynamic import Resource

from infra.cluster.process import ProcessError, ServerProcess
from infra.live import ServerProvider
from infra.waiting import wait_for
from tools import postgres

SUPERUSER = "postgres"

_SETTINGS = """
max_connections = 300
superuser_reserved_connections = 5
password_encryption = 'scram-sha-256'
logging_collector = off
log_line_prefix = '%m [%p] %q%u@%d '
log_statement = 'none'
# A role's password would stand in the log of a statement that failed.
log_min_error_statement = 'panic'
log_connections = off
"""
_OWN_TLS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
ssl = on
ssl_cert_file = '{folder}/cert.pem'
ssl_key_file = '{folder}/key.pem'
ssl_min_protocol_version = 'TLSv1.2'
"""
_OWN_TLS_HBA = """# TLS with a password, from this machine; nothing else
hostssl all all 127.0.0.1/32 scram-sha-256
"""
#: The socket is in the data folder (a name relative to it can't be too long), and its only user
#: is the relay in front.
_RELAYED = """
listen_addresses = ''
unix_socket_directories = '.'
unix_socket_permissions = 0700
"""
_RELAYED_HBA = """# a password, from the relay that speaks TLS; nothing else
local all all scram-sha-256
"""
_SOCKET = ".s.PGSQL.5432"


class _PostgresServer(ServerProvider):
    replace_on = ("state_dir", "port")
    update_on = ("certificate", "key")

    def _folder(self, props: dict[str, Any]) -> Path:
        return Path(props["state_dir"]) / "postgres"

    def _process(self, props: dict[str, Any]) -> ServerProcess:
        folder = self._folder(props)
        return ServerProcess("postgres", folder, str(folder / "data"))

    def find_programs(self) -> None:
        postgres.resolve()
        postgres.as_server_account([])

    def ports(self, props: dict[str, Any]) -> list[int]:
        return [int(props["port"])]

    def exists(self, props: dict[str, Any]) -> bool:
        return (self._folder(props) / "data" / "PG_VERSION").exists()

    def _write_certificate(self, props: dict[str, Any]) -> None:
        folder = self._folder(props)
        (folder / "cert.pem").write_text(props["certificate"])
        key = folder / "key.pem"
        key.touch(mode=0o600)
        key.write_text(props["key"])

    def provision(self, props: dict[str, Any]) -> dict[str, Any]:
        folder = self._folder(props)
        folder.mkdir(parents=True, mode=0o700)
        self._write_certificate(props)
        password = secrets.token_urlsafe(24)
        binaries = postgres.resolve()
        # By a file, which goes at once: arguments are for everyone to see.
        password_file = folder / "initial-password"
        password_file.touch(mode=0o600)
        password_file.write_text(password)
        account = postgres.server_account()
        for path in (folder, folder / "key.pem", password_file):
            if account is not None:
                os.chown(path, account.pw_uid, account.pw_gid)
        try:
            made = subprocess.run(
                postgres.as_server_account(
                    [
                        str(binaries.bin_dir / "initdb"),
                        f"--pgdata={folder / 'data'}",
                        f"--username={SUPERUSER}",
                        f"--pwfile={password_file}",
                        "--auth=scram-sha-256",
                        "--encoding=UTF8",
                        "--locale=C",
                        "--no-sync",
                    ]
                ),
                capture_output=True,
                text=True,
                cwd=folder,
                check=False,
            )
        finally:
            password_file.unlink()
        if made.returncode:
            raise ProcessError(f"initdb failed: {made.stderr.strip().splitlines()[-1:]}")
        own_tls = self._speaks_tls(binaries.bin_dir, folder / "data")
        transport = _OWN_TLS if own_tls else _RELAYED
        with (folder / "data" / "postgresql.conf").open("a") as conf:
            conf.write(_SETTINGS + transport.format(port=int(props["port"]), folder=folder))
        (folder / "data" / "pg_hba.conf").write_text(_OWN_TLS_HBA if own_tls else _RELAYED_HBA)
        if not own_tls:
            relay = {
                "port": int(props["port"]),
                "socket": _SOCKET,
                "certificate": str(folder / "cert.pem"),
                "key": str(folder / "key.pem"),
            }
            (folder / "relay.json").write_text(json.dumps(relay))
        self._start({**props, "password": password})
        return {"password": password}

    def _speaks_tls(self, bin_dir: Path, data: Path) -> bool:
        """Return whether this build knows TLS: one that does not refuses the setting."""
        command = [str(bin_dir / "postgres"), "-D", str(data), "-C", "ssl", "-c", "ssl=on"]
        asked = subprocess.run(
            postgres.as_server_account(command), capture_output=True, cwd=data, check=False
        )
        return asked.returncode == 0

    def _relay(self, props: dict[str, Any]) -> ServerProcess | None:
        """Return the relay that speaks TLS for the server, None where it does so itself."""
        folder = self._folder(props)
        config = folder / "relay.json"
        return ServerProcess("tls-relay", folder, str(config)) if config.exists() else None

    def _start(self, props: dict[str, Any]) -> None:
        folder = self._folder(props)
        process = self._process(props)
        binary = str(postgres.resolve().bin_dir / "postgres")
        process.start(postgres.as_server_account([binary, "-D", process.mark]), cwd=folder)
        relay = self._relay(props)
        if relay is not None:
            command = [sys.executable, "-m", "infra.postgres_tls", relay.mark]
            relay.start(command, cwd=folder / "data")

        def answers() -> bool:
            try:
                with psycopg.connect(
                    host="127.0.0.1",
                    port=int(props["port"]),
                    user=SUPERUSER,
                    password=props["password"],
                    dbname="postgres",
                    sslmode="require",
                    connect_timeout=2,
                ):
                    return True
            except psycopg.OperationalError:
                return False

        wait_for(
            answers,
            "postgres answering",
            seconds=30,
            still_possible=lambda: None if process.find() else f"it died: {process.last_words()}",
        )

    def ailments(self, props: dict[str, Any]) -> list[str]:
        relay = self._relay(props)
        found = [] if self._process(props).find() else ["postgres is not running"]
        if relay is not None and relay.find() is None:
            found.append("the TLS relay of postgres is not running")
        return found

    def mend(self, props: dict[str, Any]) -> dict[str, Any]:
        self._write_certificate(props)
        process, relay = self._process(props).find(), self._relay(props)
        if process is not None:
            process.send_signal(signal.SIGHUP)  # takes the certificate over
        if relay is not None:
            relay.stop(seconds=2)
        self._start(props)
        return {}

    def remove(self, props: dict[str, Any]) -> None:
        relay = self._relay(props)
        if relay is not None:
            relay.stop(seconds=2)
        # SIGINT is Postgres's fast shutdown: sessions are ended, the data is whole
        self._process(props).stop(sign=signal.SIGINT, seconds=10)
        shutil.rmtree(self._folder(props), ignore_errors=True)


class PostgresServer(Resource, module="postgres", name="PostgresServer"):
    """A server process with its own data folder; `password` is that of its superuser."""

    password: pulumi.Output[str]
    ailments: pulumi.Output[list[str]]

    def __init__(
        self,
        name: str,
        *,
        state_dir: str,
        port: int,
        certificate: pulumi.Input[str],
        key: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "state_dir": state_dir,
            "port": port,
            "certificate": certificate,
            "key": key,
            "password": None,
            "ailments": None,
        }
        secret = pulumi.ResourceOptions(additional_secret_outputs=["password", "key"])
        super().__init__(_PostgresServer(), name, props, pulumi.ResourceOptions.merge(opts, secret))
