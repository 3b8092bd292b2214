"""A small world for the faults: Vault, its nodes, Postgres and the fault proxy, without servers.

It answers the calls that the faults make and no others: an unknown one is a test that fails.
"""

from __future__ import annotations

import copy
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args
from unittest.mock import patch

import psycopg

from drills.database import DynamicRole
from drills.errors import VaultRefused, VaultUnreachable
from drills.faults.base import Scene
from drills.redact import Secrets
from infra.cluster.abilities import Ability
from infra.platform import Platform

NODES = ("vault-1", "vault-2", "vault-3")
PROXIES = (*NODES, "postgres", "vault-to-postgres")
PASSWORD = "a-password-of-the-canary"


def platform(state_dir: Path, ca_pem: str = "") -> Platform:
    """Outputs of a stack that does not exist."""
    return Platform.model_validate(
        {
            "stack": "test",
            "cluster": {"driver": "local", "state_dir": str(state_dir)},
            "vault": {
                "nodes": [
                    {
                        "name": name,
                        "address": f"https://{name}",
                        "proxied_address": f"https://p-{name}",
                    }
                    for name in NODES
                ],
                "ca_pem": ca_pem,
                "audit_logs": [str(state_dir / "audit-1.log")],
                "database_mount": "database",
                "operator_token": "hvs.operator-token-of-the-tests",
                "unseal_keys": ["unseal-key-number-one"],
            },
            "postgres": {
                "host": "127.0.0.1",
                "port": 1,
                "proxied_host": "127.0.0.1",
                "proxied_port": 2,
                "database": "shop",
                "ca_pem": ca_pem,
                "observer_username": "observer",
                "observer_password": "password-of-the-observer",
            },
            "proxy": {"api": "http://127.0.0.1:3"},
            "services": [
                {
                    "name": "orders",
                    "auth": {
                        "mount": "approle",
                        "role_id": "r",
                        "secret_id": "secret-id-of-orders",
                    },
                    "role": "orders",
                    "read_only_role": "orders-ro",
                    "default_ttl_seconds": 60,
                    "max_ttl_seconds": 300,
                    "static": {
                        "role": "orders-static",
                        "username": "orders_batch",
                        "rotation_period_seconds": 3600,
                    },
                }
            ],
            "drills": {"allowed": True, "state_dir": str(state_dir / "drills")},
        }
    )


class _Clock:
    """A clock for those who wait: most of what they sleep is skipped, so that a wait in vain costs
    a tenth of its time, and threads still get theirs."""

    _STEP = 0.005

    def __init__(self) -> None:
        self._skipped = 0.0

    def sleep(self, seconds: float) -> None:
        """Sleep for 5 ms at most, and call it `seconds`."""
        time.sleep(min(seconds, self._STEP))
        self._skipped += max(0.0, seconds - self._STEP)

    def monotonic(self) -> float:
        """The time, what was skipped included."""
        return time.monotonic() + self._skipped


class World:
    """The state that faults change, and the doors through which they do."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.nodes = dict.fromkeys(NODES, "unsealed")
        self.roles: dict[str, dict[str, Any]] = {
            "orders": {
                "default_ttl": 60,
                "max_ttl": 300,
                "creation_statements": ["CREATE ROLE;"],
                "renew_statements": ["ALTER ROLE;"],
            }
        }
        self.audit_devices: dict[str, Any] = {"file-1/": {}}
        self.quotas: dict[str, Any] = {}
        self.leases = {"database/creds/orders/one": 11, "database/creds/orders/two": 12}
        self.logins = ["auth/approle/login/h1"]
        self.proxies: dict[str, Any] = {
            name: {"listen": "127.0.0.1:4", "enabled": True, "toxics": {}} for name in PROXIES
        }
        self.postgres_runs = True
        self.sessions: list[Session] = []
        self.rotations = 0
        self.samples: list[tuple[str, dict[str, Any]]] = []
        self._oid = 100

    def disturbance(self) -> dict[str, Any]:
        """What undoing must bring back to how it was."""
        return copy.deepcopy(
            {
                "nodes": self.nodes,
                "roles": self.roles,
                "audit_devices": self.audit_devices,
                "pipes": [path.name for path in self.state_dir.glob("*.fifo")],
                "quotas": self.quotas,
                "proxies": self.proxies,
                "postgres": self.postgres_runs,
                "sessions": [session.name for session in self.sessions],
            }
        )

    def crash(self) -> None:
        """The process that injected is gone, and its sessions with it."""
        self.sessions.clear()

    def scene(self) -> Scene:
        """What a process sees of the world."""
        shown = platform(self.state_dir)
        return Scene(
            platform=shown,
            cluster=_Cluster(self),
            vault=_Vault(self),  # type: ignore[arg-type]
            database=_Database(self),  # type: ignore[arg-type]
            secrets=Secrets(),
            observe=lambda probe, **fields: self.samples.append((probe, fields)),
        )

    @contextmanager
    def doors(self) -> Iterator[None]:
        """Put the world in place of what faults reach without a scene."""
        process = _PostgresProcess(self)
        with (
            patch("drills.toxiproxy.httpx.request", self._toxiproxy),
            patch("drills.faults.toxic.open_lines", self._lines),
            patch(
                "drills.faults.revoke_unreachable.PostgresLine",
                lambda _s, proxy: _Line(self, proxy),
            ),
            patch("drills.faults.postgres_restart.PostgresRestart._server", lambda *_: process),
            patch("drills.faults.vault_setting.as_provisioner", lambda *_: self.scene().vault),
            patch("infra.waiting.time", _Clock()),
        ):
            yield

    @contextmanager
    def _lines(self, _scene: Scene, proxies: list[str]) -> Iterator[list[_Line]]:
        lines = [_Line(self, proxy) for proxy in proxies]
        for line in lines:
            line.ask()
        yield lines

    def _toxiproxy(self, method: str, url: str, json: Any = None, **_more: Any) -> Any:
        _, _, name, *rest = url.removeprefix("http://127.0.0.1:3").split("/")
        proxy = self.proxies[name]
        match method, rest:
            case "GET", []:
                toxics = [{"name": toxic} for toxic in proxy["toxics"]]
                return _Answer(200, {**proxy, "name": name, "toxics": toxics})
            case "POST", []:
                proxy["enabled"] = json["enabled"]
            case "POST", ["toxics"]:
                proxy["toxics"][json["name"]] = {**json["attributes"], "type": json["type"]}
            case "DELETE", ["toxics", toxic]:
                return _Answer(204 if proxy["toxics"].pop(toxic, None) else 404, None)
            case _:
                raise AssertionError((method, url))
        return _Answer(200, {})

    def new_lease(self, role: str) -> dict[str, Any]:
        """Issue a credential."""
        self._oid += 1
        lease = f"database/creds/{role}/lease-{self._oid}-of-the-canary"
        self.leases[lease] = self._oid
        return {
            "lease_id": lease,
            "data": {"username": f"v-{role}-{self._oid}", "password": PASSWORD},
        }


class _Answer:
    def __init__(self, status: int, body: Any) -> None:
        self.status_code, self._body = status, body
        self.content, self.text = (b"x" if body is not None else b""), ""
        self.is_success = status < 300

    def json(self) -> Any:
        return self._body


class _Line:
    def __init__(self, world: World, proxy: str) -> None:
        self.proxy, self._world = proxy, world

    def ask(self) -> float:
        state = self._world.proxies[self.proxy]
        if not state["enabled"]:
            raise ConnectionResetError
        for toxic in state["toxics"].values():
            if toxic["type"] == "timeout":
                raise TimeoutError
            if toxic["type"] == "reset_peer":
                raise ConnectionResetError
            return float(toxic["latency"]) / 1000
        return 0.0

    def close(self) -> None:
        pass


class _Cluster:
    def __init__(self, world: World) -> None:
        self._nodes = world.nodes

    def nodes(self) -> list[str]:
        return list(self._nodes)

    def running(self, node: str) -> bool:
        return self._nodes[node] != "dead"

    def kill(self, node: str) -> None:
        self._nodes[node] = "dead"

    def start(self, node: str) -> None:
        if self._nodes[node] == "dead":
            self._nodes[node] = "sealed"

    def pause(self, node: str) -> None:
        self._nodes[node] = "paused" if self._nodes[node] == "unsealed" else self._nodes[node]

    def resume(self, node: str) -> None:
        self._nodes[node] = "unsealed" if self._nodes[node] == "paused" else self._nodes[node]

    def disconnect(self, node: str) -> None:
        self._nodes[node] = "cut" if self._nodes[node] == "unsealed" else self._nodes[node]

    def reconnect(self, node: str) -> None:
        self._nodes[node] = "unsealed" if self._nodes[node] == "cut" else self._nodes[node]

    def abilities(self) -> frozenset[Ability]:
        return frozenset(get_args(Ability))

    def unseal(self, node: str, keys: Any) -> None:
        assert list(keys) == ["unseal-key-number-one"]
        assert self._nodes[node] != "dead"
        self._nodes[node] = "unsealed"


class _Vault:
    def __init__(self, world: World) -> None:
        self._world = world
        self.nodes = {name: f"https://{name}" for name in NODES}
        self._down = 0

    def health(self, node: str, **_more: Any) -> int | None:
        unsealed = [name for name in NODES if self._world.nodes[name] == "unsealed"]
        leader = unsealed[self._down % len(unsealed)] if len(unsealed) > 1 else None
        return {
            "dead": None,
            "paused": None,
            "cut": None,
            "sealed": 503,
            "unsealed": 200 if node == leader else 429,
        }[self._world.nodes[node]]

    def close(self) -> None:
        """Nothing to close."""

    def active_node(self) -> str | None:
        return next((node for node in NODES if self.health(node) == 200), None)

    def list_keys(self, path: str, **_more: Any) -> list[str]:
        prefix = path.removeprefix("sys/leases/lookup/") + "/"
        held = [*self._world.leases, *self._world.logins]
        return [lease.removeprefix(prefix) for lease in held if lease.startswith(prefix)]

    def call(  # noqa: PLR0911, PLR0912 - a branch an endpoint
        self, method: str, path: str, *, json: Any = None, **_more: Any
    ) -> dict[str, Any]:
        world = self._world
        for device in world.audit_devices.values():
            if "file_path" in device and not _is_read(device["file_path"]):
                raise VaultUnreachable(f"{path}: an audit device blocks")
        if path == "sys/leases/revoke":
            if not world.proxies["vault-to-postgres"]["enabled"]:
                raise VaultRefused(400, path, "failed to revoke entry")
            if json["lease_id"] in world.logins:
                world.logins.remove(json["lease_id"])
                world.leases.clear()
            world.leases.pop(json["lease_id"], None)
        elif path == "sys/leases/lookup":
            return {"data": {"issue_time": json["lease_id"]}}
        elif found := re.fullmatch(r"sys/leases/revoke-prefix/(.*)", path):
            if world.proxies["vault-to-postgres"]["enabled"]:
                for lease in [each for each in world.leases if each.startswith(found[1])]:
                    del world.leases[lease]
        elif path == "sys/step-down":
            self._down += 1
        elif path == "sys/storage/raft/autopilot/state":
            servers = {
                name: {"healthy": state == "unsealed", "status": "voter"}
                for name, state in world.nodes.items()
            }
            return {"data": {"servers": servers}}
        elif found := re.fullmatch(r"database/creds/(.*)", path):
            return world.new_lease(found[1])
        elif found := re.fullmatch(r"database/roles/(.*)", path):
            for key, value in (json or {}).items():
                statements = key.endswith("_statements") and isinstance(value, str)
                world.roles[found[1]][key] = [value] if statements else value
            return {"data": dict(world.roles[found[1]])}
        elif path in {"sys/leases/renew", "database/rotate-role/orders-static"}:
            world.rotations += path.startswith("database/rotate-role")
        elif path == "database/static-creds/orders-static":
            return {"data": {"password": f"{PASSWORD}-{world.rotations}"}}
        elif path == "sys/audit":
            return {"data": dict(world.audit_devices)}
        elif found := re.fullmatch(r"sys/audit/(drill-.*)", path):
            if method == "PUT":
                world.audit_devices[f"{found[1]}/"] = json["options"]
            if method == "DELETE":
                world.audit_devices.pop(f"{found[1]}/", None)
        elif found := re.fullmatch(r"sys/quotas/rate-limit/(drill-.*)", path):
            if method == "GET" and found[1] not in world.quotas:
                raise VaultRefused(404, path, "no such quota")
            if method == "POST":
                world.quotas[found[1]] = json
            if method == "DELETE":
                world.quotas.pop(found[1], None)
        elif path == "database/rotate-root/shop":
            world.rotations += 1
        else:
            raise AssertionError((method, path))
        return {}


def _is_read(pipe: str) -> bool:
    """Whether somebody reads the pipe, so that a write to it would not block."""
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


class Session:
    """A session of a fake Postgres."""

    def __init__(self, world: World, name: str) -> None:
        self.name, self._world = name, world

    def execute(self, _sql: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Leave."""
        if self in self._world.sessions:
            self._world.sessions.remove(self)


class _Database:
    _MOST = 7

    def __init__(self, world: World) -> None:
        self._world = world

    def connect(self, *, name: str = "observer", **_more: Any) -> Session:
        if len(self._world.sessions) >= self._MOST:
            raise psycopg.OperationalError("sorry, too many clients already")
        session = Session(self._world, name)
        self._world.sessions.append(session)
        return session

    def server_version(self) -> str:
        if not self._world.postgres_runs:
            raise psycopg.OperationalError("connection refused")
        return "18"

    def dynamic_roles(self, _role: str | None = None) -> list[DynamicRole]:
        return [DynamicRole(f"v-{oid}", oid) for oid in self._world.leases.values()]

    def roles_left(self, oids: list[int]) -> int:
        world = self._world
        if world.proxies["vault-to-postgres"]["enabled"] and world.samples == []:
            # Vault's own retries have come
            world.leases = {lease: o for lease, o in world.leases.items() if o not in oids}
        return len(set(oids) & set(world.leases.values()))

    def sessions_left(self, _oids: list[int]) -> int:
        return 0

    def sessions_writing(self) -> int:
        return 3

    def sessions_named(self, name: str) -> int:
        return sum(session.name == name for session in self._world.sessions)

    def login(self, username: str, password: str) -> str:
        good = f"{PASSWORD}-{self._world.rotations}"
        return "accepted" if (username, password) == ("orders_batch", good) else "refused"

    def too_old(self, role: str) -> int:
        return int("interval" in self._world.roles[role]["creation_statements"][0])


class _PostgresProcess:
    mark, folder = "data", Path()

    def __init__(self, world: World) -> None:
        self._world = world

    def start(self, _command: list[str], **_more: Any) -> int:
        self._world.postgres_runs = True
        return 1

    def stop(self, **_more: Any) -> None:
        self._world.postgres_runs = False

    def last_words(self) -> str:
        return ""
