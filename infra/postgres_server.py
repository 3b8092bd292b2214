"""A PostgreSQL server on this machine: TCP on loopback, TLS and SCRAM only."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
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
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 300
superuser_reserved_connections = 5
password_encryption = 'scram-sha-256'
ssl = on
ssl_cert_file = '{folder}/cert.pem'
ssl_key_file = '{folder}/key.pem'
ssl_min_protocol_version = 'TLSv1.2'
logging_collector = off
log_line_prefix = '%m [%p] %q%u@%d '
log_statement = 'none'
# A role's password would stand in the log of a statement that failed.
log_min_error_statement = 'panic'
log_connections = off
"""
_HBA = """# TLS with a password, from this machine; nothing else
hostssl all all 127.0.0.1/32 scram-sha-256
"""


class _PostgresServer(ServerProvider):
    replace_on = ("state_dir", "port")
    update_on = ("certificate", "key")

    def _folder(self, props: dict[str, Any]) -> Path:
        return Path(props["state_dir"]) / "postgres"

    def _process(self, props: dict[str, Any]) -> ServerProcess:
        folder = self._folder(props)
        return ServerProcess("postgres", folder, str(folder / "data"))

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
        with (folder / "data" / "postgresql.conf").open("a") as conf:
            conf.write(_SETTINGS.format(port=int(props["port"]), folder=folder))
        (folder / "data" / "pg_hba.conf").write_text(_HBA)
        self._start({**props, "password": password})
        return {"password": password}

    def _start(self, props: dict[str, Any]) -> None:
        folder = self._folder(props)
        process = self._process(props)
        binary = str(postgres.resolve().bin_dir / "postgres")
        process.start(postgres.as_server_account([binary, "-D", process.mark]), cwd=folder)

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
        return [] if self._process(props).find() else ["postgres is not running"]

    def mend(self, props: dict[str, Any]) -> dict[str, Any]:
        self._write_certificate(props)
        process = self._process(props).find()
        if process is None:
            self._start(props)
        else:
            process.send_signal(signal.SIGHUP)  # takes the certificate over
        return {}

    def remove(self, props: dict[str, Any]) -> None:
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
