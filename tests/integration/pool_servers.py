"""One real Vault (raft, TLS) and one real Postgres (TLS) for the pools' own tests.

The stack of `pulumi up` is not used here: these tests kill and restart Vault at will, and want
leases of seconds.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hvac
import psycopg
import trustme

from loadtests.target import AppRole, Target
from loadtests.target import Postgres as PostgresTarget
from tools import binaries, postgres

_HOST = "127.0.0.1"
_PASSWORD = "superuser-of-a-test"

# One statement each, so that NOLOGIN and the terminations are what the pools meet in any order
REVOCATION = [
    'ALTER ROLE "{{name}}" NOLOGIN;',
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}';",
    'DROP ROLE "{{name}}";',
]
CREATION = [
    "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' "
    "VALID UNTIL '{{expiration}}' INHERIT IN ROLE orders_rw;"
]
RENEWAL = ["ALTER ROLE \"{{name}}\" VALID UNTIL '{{expiration}}';"]


def until(what: str, condition: Callable[[], object], *, seconds: float) -> None:
    """Wait for `condition`; fail with `what` after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:g} s still not: {what}")
        time.sleep(0.02)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with closing(socket.socket()) as one:
        one.bind((_HOST, 0))
        port: int = one.getsockname()[1]
        return port


@dataclass
class Servers:
    """Both servers, and what a test does to them."""

    folder: Path
    ca_pem: str
    vault_port: int
    postgres_port: int
    postgres_tls: bool = True
    secrets: list[str] = field(default_factory=list)
    unseal_key: str = ""
    root_token: str = ""
    auth: AppRole | None = None
    _vault: subprocess.Popen[bytes] | None = None

    @property
    def vault_address(self) -> str:
        """The https URL of Vault."""
        return f"https://{_HOST}:{self.vault_port}"

    def target(self, role: str = "orders", **changes: Any) -> Target:
        """Return how a pool reaches both."""
        assert self.auth is not None
        return Target(
            **{
                "vault_addresses": [self.vault_address],
                "vault_ca_pem": self.ca_pem,
                "auth": self.auth,
                "database_mount": "database",
                "role": role,
                "postgres": PostgresTarget(
                    host=_HOST,
                    port=self.postgres_port,
                    database="orders",
                    ca_pem=self.ca_pem if self.postgres_tls else None,
                ),
                **changes,
            }
        )

    def operator(self) -> hvac.Client:
        """Return a client with the root token."""
        return hvac.Client(
            url=self.vault_address,
            token=self.root_token,
            verify=str(self.folder / "ca.pem"),
            timeout=30,
        )

    @contextmanager
    def superuser(self) -> Iterator[psycopg.Connection]:
        """Connect as the owner of everything, in autocommit."""
        with psycopg.connect(
            host=_HOST,
            port=self.postgres_port,
            dbname="orders",
            user="admin",
            password=_PASSWORD,
            autocommit=True,
        ) as connection:
            yield connection

    def dynamic_roles(self) -> list[str]:
        """Return the names of Vault's roles in Postgres."""
        with self.superuser() as connection:
            rows = connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'")
            return [row[0] for row in rows]

    def leases(self, role: str = "orders") -> list[str]:
        """Return the ids of the live leases of `role`."""
        try:
            found = self.operator().sys.list_leases(f"database/creds/{role}")
        except hvac.exceptions.InvalidPath:
            return []
        return list(found["data"]["keys"])

    def revoke_all(self, role: str = "orders") -> None:
        """Revoke every lease of `role`; returns when all its roles are gone."""
        self.operator().sys.revoke_prefix(f"database/creds/{role}")

    def role(
        self, name: str, *, ttl: float, max_ttl: float, revocation: list[str] | None = None
    ) -> str:
        """Declare a dynamic role with its own times, in whole seconds."""
        self.operator().secrets.database.create_role(
            name,
            "postgres",
            CREATION,
            default_ttl=f"{ttl:g}s",
            max_ttl=f"{max_ttl:g}s",
            renew_statements=RENEWAL,
            revocation_statements=revocation or REVOCATION,
        )
        return name

    def start_vault(self) -> None:
        """Start Vault on the same storage, and unseal it where it is initialised."""
        log = (self.folder / "vault.log").open("ab")
        vault = binaries.resolve("vault").path
        config = str(self.folder / "vault.hcl")
        self._vault = subprocess.Popen(
            [str(vault), "server", f"-config={config}"], stdout=log, stderr=log
        )
        log.close()
        client = self.operator()
        until("Vault answers", lambda: _answers(client), seconds=30)
        if self.unseal_key:
            client.sys.submit_unseal_key(self.unseal_key)
            until("Vault is active", lambda: _active(client), seconds=30)

    def kill_vault(self) -> None:
        """End Vault at once."""
        if self._vault is not None:
            self._vault.kill()
            self._vault.wait()
            self._vault = None

    @contextmanager
    def frozen_vault(self) -> Iterator[None]:
        """Let Vault accept connections and answer nothing, for the block."""
        assert self._vault is not None
        self._vault.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._vault.send_signal(signal.SIGCONT)


def _answers(client: hvac.Client) -> bool:
    with suppress(Exception):
        return client.sys.read_health_status(method="GET").status_code in {429, 501, 503}
    return False


def _active(client: hvac.Client) -> bool:
    with suppress(Exception):
        # hvac returns the body of a 200, and the response itself for every other status
        return isinstance(client.sys.read_health_status(method="GET"), dict)
    return False


@contextmanager
def running(folder: Path) -> Iterator[Servers]:
    """Bring both servers up under `folder`, and end them."""
    authority = trustme.CA()
    certificate = authority.issue_cert(_HOST, "localhost")
    ca_pem = authority.cert_pem.bytes().decode()
    (folder / "ca.pem").write_text(ca_pem)
    servers = Servers(folder, ca_pem, free_port(), free_port())
    with _postgres(folder, certificate, servers):
        try:
            _configure_vault(folder, certificate, servers)
            yield servers
        finally:
            servers.kill_vault()


@contextmanager
def _postgres(
    folder: Path, certificate: trustme.LeafCert, servers: Servers
) -> Iterator[subprocess.Popen[bytes]]:
    programs = postgres.resolve().bin_dir
    home = folder / "postgres"
    home.mkdir()
    (home / "password").write_text(_PASSWORD)
    certificate.private_key_pem.write_to_path(home / "server.key")
    for number, pem in enumerate(certificate.cert_chain_pems):
        pem.write_to_path(home / "server.crt", append=number > 0)
    (home / "server.key").chmod(0o600)
    account = postgres.server_account()
    if account is not None:
        for path in (home, *home.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)
    data = home / "data"
    subprocess.run(
        postgres.as_server_account(
            f"{programs}/initdb -D {data} -U admin -A scram-sha-256 -N --no-instructions "
            f"--no-locale -E UTF8 --pwfile {home}/password".split()
        ),
        check=True,
        capture_output=True,
    )
    tls = {
        "ssl": "on",
        "ssl_cert_file": home / "server.crt",
        "ssl_key_file": home / "server.key",
    }
    settings = {
        "port": servers.postgres_port,
        "listen_addresses": _HOST,
        "unix_socket_directories": "",
        "max_connections": 60,
        "fsync": "off",
    }

    def start(settings: dict[str, Any]) -> subprocess.Popen[bytes]:
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with (folder / "postgres.log").open("wb") as log:
            return subprocess.Popen(
                postgres.as_server_account([str(programs / "postgres"), "-D", str(data), *options]),
                stdout=log,
                stderr=log,
            )

    server = start({**settings, **tls})
    until(
        "Postgres answers, or has ended",
        lambda: server.poll() is not None or _postgres_answers(servers),
        seconds=30,
    )
    if "SSL is not supported by this build" in (folder / "postgres.log").read_text():
        servers.postgres_tls = False  # PyPI's binaries
        server = start(settings)
    try:
        until("Postgres answers", lambda: _postgres_answers(servers), seconds=30)
        with psycopg.connect(
            host=_HOST,
            port=servers.postgres_port,
            dbname="postgres",
            user="admin",
            password=_PASSWORD,
            autocommit=True,
        ) as connection:
            connection.execute("CREATE DATABASE orders")
        with servers.superuser() as connection:
            connection.execute(
                """
                CREATE ROLE orders_rw;
                CREATE SCHEMA orders;
                CREATE TABLE orders.orders (
                  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                  item text NOT NULL, quantity int NOT NULL,
                  created_at timestamptz DEFAULT now());
                GRANT USAGE ON SCHEMA orders TO orders_rw;
                GRANT SELECT, INSERT ON orders.orders TO orders_rw;
                CREATE ROLE vault_admin LOGIN CREATEROLE PASSWORD 'vault-admin-of-a-test';
                GRANT orders_rw TO vault_admin WITH ADMIN OPTION;
                GRANT pg_signal_backend TO vault_admin;
                """
            )
        yield server
    finally:
        server.send_signal(signal.SIGINT)  # SIGTERM would wait for every client
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _postgres_answers(servers: Servers) -> bool:
    with suppress(psycopg.OperationalError):
        psycopg.connect(
            host=_HOST,
            port=servers.postgres_port,
            dbname="postgres",
            user="admin",
            password=_PASSWORD,
        ).close()
        return True
    return False


def _configure_vault(folder: Path, certificate: trustme.LeafCert, servers: Servers) -> None:
    home = folder / "vault"
    home.mkdir()
    certificate.private_key_pem.write_to_path(home / "server.key")
    for number, pem in enumerate(certificate.cert_chain_pems):
        pem.write_to_path(home / "server.crt", append=number > 0)
    port, cluster = servers.vault_port, free_port()
    (folder / "vault.hcl").write_text(
        f"""
storage "raft" {{
  path    = "{home}"
  node_id = "one"
  performance_multiplier = 1
}}
listener "tcp" {{
  address         = "{_HOST}:{port}"
  cluster_address = "{_HOST}:{cluster}"
  tls_cert_file   = "{home}/server.crt"
  tls_key_file    = "{home}/server.key"
}}
api_addr      = "https://{_HOST}:{port}"
cluster_addr  = "https://{_HOST}:{cluster}"
disable_mlock = true
"""
    )
    servers.start_vault()
    client = servers.operator()
    made = client.sys.initialize(secret_shares=1, secret_threshold=1)
    servers.unseal_key, servers.root_token = made["keys"][0], made["root_token"]
    client = servers.operator()
    client.sys.submit_unseal_key(servers.unseal_key)
    until("Vault is active", lambda: _active(client), seconds=30)
    client.sys.enable_secrets_engine("database")
    client.secrets.database.configure(
        "postgres",
        "postgresql-database-plugin",
        allowed_roles=["*"],
        username="vault_admin",
        password="vault-admin-of-a-test",
        connection_url=(
            f"postgresql://{{{{username}}}}:{{{{password}}}}@{_HOST}:{servers.postgres_port}/orders"
            f"?sslmode={'require' if servers.postgres_tls else 'disable'}"
        ),
    )
    servers.role("orders", ttl=60, max_ttl=300)
    client.sys.create_or_update_policy(
        "orders",
        """
path "database/creds/*" { capabilities = ["read"] }
path "sys/leases/revoke" { capabilities = ["update"] }
""",
    )
    client.sys.enable_auth_method("approle")
    client.auth.approle.create_or_update_approle(
        "orders", token_policies=["orders"], token_ttl="10m", token_max_ttl="1h"
    )
    secret_id = client.auth.approle.generate_secret_id("orders")["data"]["secret_id"]
    role_id = client.auth.approle.read_role_id("orders")["data"]["role_id"]
    servers.auth = AppRole(mount="approle", role_id=role_id, secret_id=secret_id)
    servers.secrets = [secret_id, servers.root_token]
