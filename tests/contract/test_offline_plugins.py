"""The stand-ins against the recording: a real `pulumi up` on a real Vault and a real Postgres."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import contract_recording as recording
import contract_servers as servers
import pytest
from contract_stack import Stack

from tools.offline_plugins.postgresql.catalog import KINDS
from tools.offline_plugins.vault import catalog
from tools.offline_plugins.vault.client import VaultError

pytestmark = pytest.mark.slow

MEMBERSHIP = "grantrole-app-rw-app-ro-false"
EXTENSION = "postgresql:index/extension:Extension"
DEFAULTS: dict[str, Any] = {
    **{token: spec.defaults for token, spec in catalog.everything().items()},
    **{token: kind.data.defaults for token, kind in KINDS.items()},
}
CLEAN = ("--expect-no-changes",)
DRIFT = ("refresh", "--preview-only", "--expect-no-changes")


@dataclass
class World:
    """Two servers and a stack on them."""

    vault: servers.VaultServer
    postgres: servers.PostgresServer
    stack: Stack
    made: dict[str, str]

    def entry(self, name: str) -> dict[str, Any]:
        """A resource of the program, to be changed in place."""
        return next(entry for entry in self.stack.resources if entry["name"] == name)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The recorded program, in which what is a default is left to the plugins."""
    folders = [tmp_path_factory.mktemp(name) for name in ("vault", "postgres", "stack")]
    for parent in (folders[1], *folders[1].parents):
        if parent == Path("/tmp"):  # noqa: S108 where pytest's folders end
            break
        parent.chmod(0o755)
    with servers.vault(folders[0]) as vault, servers.postgres_server(folders[1]) as postgres:
        made = {
            **recording.key_material(),
            "audit_file": str(folders[0] / "audit.log"),
            "postgres_password": {"$secret": postgres.password},
            "connection_url": "postgresql://{{username}}:{{password}}"
            f"@127.0.0.1:{postgres.port}/app?sslmode=disable",
        }
        stack = Stack(
            folders[2],
            {"address": vault.address, "token": vault.token, "skip_child_token": True},
            {
                "host": "127.0.0.1",
                "port": postgres.port,
                "username": "postgres",
                "password": postgres.password,
                "sslmode": "disable",
            },
            [
                {
                    "name": entry["name"],
                    "type": entry["type"],
                    "inputs": {
                        name: value
                        for name, value in recording.fill(entry["inputs"], made).items()
                        if DEFAULTS[entry["type"]].get(name) != value
                    },
                }
                for entry in recording.recorded()
                if entry["type"] != EXTENSION or _has_extension(postgres, entry)
            ],
        )
        stack.up().ok()
        yield World(vault, postgres, stack, made)


def _has_extension(postgres: servers.PostgresServer, entry: dict[str, Any]) -> bool:
    """Whether this build of Postgres comes with the extension; the embedded one hasn't many."""
    query = "select count(*) from pg_available_extensions where name = %s"
    with postgres.connect() as connection:
        return bool(connection.execute(query, [entry["inputs"]["name"]]).fetchone()[0])


def test_up_writes_the_recorded_state(world: World) -> None:
    """Ids, names of inputs, outputs with their nulls, and secret outputs are the published ones."""
    written = world.stack.export()
    different = []
    program = {entry["name"] for entry in world.stack.resources}
    for entry in recording.recorded():
        if entry["name"] not in program:
            continue
        ours = written[entry["name"]]
        want, have = recording.alike(entry["outputs"]), recording.alike(ours["outputs"])
        different += [
            (entry["name"], name, want.get(name, "absent"), have.get(name, "absent"))
            for name in sorted({*want, *have})
            if _known(name, want) != _known(name, have)
        ]
        assert recording.alike(ours["id"]) == recording.alike(entry["id"])
        assert sorted(set(ours["inputs"]) - {"__defaults"}) == entry["recordedInputs"]
        secret = set(ours.get("additionalSecretOutputs", []))
        assert secret == set(entry["additionalSecretOutputs"])
    # Before a refresh the role doesn't know of the membership that GrantRole made.
    assert different == [("role-app-rw", "roles", ["app_ro"], [])]


def _known(name: str, outputs: dict[str, Any]) -> Any:
    """A value to compare: what names this run's files, ports and times is left out."""
    value = outputs.get(name, "absent")
    if name == "postgresql" and isinstance(value, dict):
        return {**value, "connectionUrl": ""}
    if name in {"options", "keys"} and isinstance(value, dict | list):
        return (
            [*value] if isinstance(value, dict) and "file_path" in value else json.dumps(value)[:8]
        )
    if name == "leaseDuration":
        return (value + 1) // 10
    return value


def test_a_second_up_changes_nothing(world: World) -> None:
    """Nothing differs right after an update."""
    world.stack.run("preview", *CLEAN).ok()
    world.stack.up(*CLEAN).ok()


def test_no_secret_is_in_the_state_in_clear(world: World) -> None:
    """Passwords, keys, tokens and secret ids are encrypted wherever the state has them."""
    secrets = {"made-up-password", "made-up-api-key", "made-up-secret-key", world.postgres.password}
    shown = world.stack.export(secrets=True)
    secrets |= {str(entry["outputs"].get("clientToken") or "") for entry in shown.values()}
    secrets |= {str(entry["outputs"].get("secretId") or "") for entry in shown.values()}
    text = world.stack.run("stack", "export").ok().text
    named = {"vault": world.stack.vault, "postgresql": world.stack.postgresql}
    provider = [named["vault"]["token"], named["postgresql"]["password"]]
    assert [s for s in secrets if len(s) > 4 and s in text and s not in provider] == []


def test_a_membership_declared_apart_is_taken_away(world: World) -> None:
    """Refresh adds it to the role, the next up takes it away, the next refresh drops it."""
    stack = world.stack
    stack.run("refresh", "--yes", "--skip-preview").ok()
    assert stack.export()["role-app-rw"]["outputs"]["roles"] == ["app_ro"]
    stack.up().ok()
    with world.postgres.connect() as connection:
        query = "select pg_has_role('app_rw', 'app_ro', 'MEMBER')"
        assert connection.execute(query).fetchone() == (False,)
    stack.run("refresh", "--yes", "--skip-preview").ok()
    assert MEMBERSHIP not in stack.export()
    stack.resources.remove(world.entry(MEMBERSHIP))
    stack.up().ok()


def test_a_refresh_is_clean(world: World) -> None:
    """Reading everything back finds no change, before and after the state was rewritten."""
    world.stack.run(*DRIFT).ok()
    world.stack.run("refresh", "--yes", "--skip-preview", *CLEAN).ok()
    world.stack.up(*CLEAN).ok()


def test_changes_by_hand_are_found_and_put_back(world: World) -> None:
    """The drift check fails and names what differs; refresh and up put all of it back."""
    client = world.vault.client
    client.write("sys/policies/acl/orders", {"policy": 'path "x" { capabilities=["read"] }'})
    client.write("database/roles/ro", {**_role(client), "default_ttl": 30})
    client.delete("sys/quotas/rate-limit/global")
    client.delete("sys/auth/kubernetes")
    with world.postgres.connect("app") as connection:
        connection.execute("REVOKE USAGE ON SCHEMA orders FROM app_ro")
        connection.execute("ALTER ROLE batch CONNECTION LIMIT 3")
    found = world.stack.run(*DRIFT, "--diff")
    assert found.exit != 0
    for name in ("policy-orders", "database-secretbackendrole-ro", "quotaratelimit-global"):
        assert f"::{name}]" in found.text
    for name in ("authbackend-kubernetes", "grant-app-ro-app-orders-schema", "role-batch"):
        assert f"::{name}]" in found.text
    for name in ("policy-rw", "mount-database", "role-app-ro]"):
        assert f"::{name}" not in found.text
    world.stack.run("refresh", "--yes", "--skip-preview").ok()
    world.stack.up().ok()
    world.stack.run(*DRIFT).ok()
    assert _role(client)["default_ttl"] == 60


def _role(client: Any) -> dict[str, Any]:
    return (client.get("database/roles/ro") or {})["data"]


def test_updates_happen_in_place(world: World) -> None:
    """A changed ttl, policy, tune block, privilege or attribute keeps its resource."""
    before = world.stack.export()
    changed = {
        "database-secretbackendrole-ro": {"defaultTtl": 90},
        "policy-orders": {"policy": 'path "database/creds/ro" { capabilities=["list"] }'},
        "authbackend-approle": {"tune": {"defaultLeaseTtl": "2h", "maxLeaseTtl": "5h"}},
        "mount-database": {"maxLeaseTtlSeconds": 7200, "description": "other"},
        "approle-authbackendrole-orders": {"tokenTtl": 300},
        "role-batch": {"connectionLimit": 9, "searchPaths": ["orders", "public"]},
        "grant-app-ro-app-orders-table": {"privileges": ["SELECT", "INSERT"]},
        "transit-secretbackendkey-orders": {"autoRotatePeriod": 7200},
    }
    for name, inputs in changed.items():
        world.entry(name)["inputs"].update(inputs)
    world.entry("database-secretbackendrole-ro")["inputs"].pop("maxTtl")
    world.stack.up().ok()
    after = world.stack.export()
    for name, inputs in changed.items():
        assert after[name]["id"] == before[name]["id"]
        for field, value in inputs.items():
            have = after[name]["outputs"][field]
            if isinstance(value, dict):
                have = {key: have[key] for key in value}
            assert have == (sorted(value) if field == "privileges" else value)
    assert _role(world.vault.client)["max_ttl"] == 0
    world.stack.run(*DRIFT).ok()
    world.stack.up(*CLEAN).ok()


def test_replacements_happen_where_they_must(world: World) -> None:
    """A property that replaces makes another resource; a named one deletes the old one first."""
    old = world.stack.export()
    secret_id, grant = "approle-authbackendrolesecretid-orders", "grant-app-rw-app-database"
    world.entry(secret_id)["inputs"]["ttl"] = 1800
    world.entry(grant)["inputs"]["withGrantOption"] = True
    world.entry("database-secretbackendrole-ro")["inputs"]["name"] = "reader"
    connection = world.entry("database-secretbackendconnection-app")["inputs"]
    connection["allowedRoles"] = ["reader", "batch"]
    world.stack.up().ok()
    new = world.stack.export()
    assert new[secret_id]["id"] != old[secret_id]["id"]
    assert new[grant]["outputs"]["withGrantOption"] is True
    assert servers.is_gone(world.vault.client, "database/roles/ro")
    assert (world.vault.client.get("database/creds/reader") or {})["lease_id"]
    world.stack.up(*CLEAN).ok()


def test_an_import_needs_the_id_alone(world: World, tmp_path: Path) -> None:
    """Another stack takes over by id what is there, with inputs that match the program."""
    names = [
        "mount-database",
        "policy-orders",
        "authbackend-approle",
        "approle-authbackendrole-orders",
        "quotaratelimit-global",
        "database-app",
        "role-batch",
        "schema-orders",
        "transit-secretbackendkey-orders",
    ]
    written = world.stack.export()
    other = Stack(tmp_path, world.stack.vault, world.stack.postgresql, chain=False)
    for name in names:
        options: dict[str, Any] = {"import_": written[name]["id"]}
        inputs = dict(world.entry(name)["inputs"])
        if name == "role-batch":
            # Postgres has the password's verifier only, which is not the program's text.
            inputs.pop("password")
            options["ignore_changes"] = ["password"]
        other.resources.append({**world.entry(name), "inputs": inputs, "options": options})
    result = other.up().ok()
    assert f"{len(names)} imported" in result.text
    assert other.export()["schema-orders"]["id"] == "app.orders"
    other.up(*CLEAN).ok()
    other.run(*DRIFT).ok()


def test_a_refused_input_names_its_property(world: World) -> None:
    """Check failures and refusals of the server name type and reason, and no secret."""
    bad = {
        "name": "bad",
        "type": "postgresql:index/grant:Grant",
        "inputs": {
            "database": "app",
            "objectType": "tables",
            "privileges": ["SELECT"],
            "role": "app_ro",
        },
    }
    world.stack.resources.append(bad)
    refused = world.stack.up()
    world.stack.resources[-1] = {
        "name": "bad",
        "type": "vault:database/secretBackendConnection:SecretBackendConnection",
        "inputs": {
            "backend": "database",
            "postgresql": {
                "connectionUrl": "postgresql://{{username}}:{{password}}@127.0.0.1:1/app",
                "username": "nobody",
                "password": {"$secret": "made-up-and-wrong"},
            },
        },
    }
    failed = world.stack.up()
    world.stack.resources[-1] = {
        "name": "bad",
        "type": "vault:index/namespace:Namespace",
        "inputs": {"path": "a"},
    }
    unserved = world.stack.up()
    world.stack.resources.pop()
    assert refused.exit != 0
    assert "objectType" in refused.text
    assert failed.exit != 0
    assert "HTTP 400" in failed.text
    assert "database/config/" in failed.text
    assert "made-up-and-wrong" not in failed.text
    assert "published plugin pulumi-resource-vault" in unserved.text
    world.stack.up(*CLEAN).ok()


def test_the_child_token_does_not_outlive_the_plugin(world: World) -> None:
    """Without skip_child_token each run has its own token, and leaves none behind."""
    before = _accessors(world)
    world.stack.vault["skip_child_token"] = False
    world.stack.up(*CLEAN)
    world.stack.run(*DRIFT)
    assert _accessors(world) == before
    world.stack.vault["skip_child_token"] = True
    world.stack.up().ok()


def _accessors(world: World) -> set[str]:
    answer = world.vault.client.call("LIST", "auth/token/accessors") or {}
    return set(answer["data"]["keys"])


def test_live_leases_stop_a_destroy(world: World) -> None:
    """The connection goes first, then the mount's deletion fails; without leases all goes."""
    client = world.vault.client
    client.get("database/creds/reader")
    stuck = world.stack.run("destroy", "--yes", "--skip-preview")
    assert stuck.exit != 0
    assert "failed to revoke" in stuck.text
    assert "sys/mounts/database" in stuck.text
    client.write("sys/leases/revoke-force/database", {})
    world.stack.run("destroy", "--yes", "--skip-preview").ok()
    assert world.stack.export() == {}
    with pytest.raises(VaultError) as refused:
        client.call("GET", "sys/mounts/database")
    assert refused.value.status == http.client.BAD_REQUEST
    with world.postgres.connect() as connection:
        query = "select rolname from pg_roles where rolname in ('app_ro', 'app_rw', 'batch')"
        assert connection.execute(query).fetchall() == []
