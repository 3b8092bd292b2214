"""Cluster drivers without servers: configuration files, settings, what they refuse."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from fault_world import World, platform
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from drills import preflight
from drills.errors import SetupError
from drills.faults.registry import make, names
from infra.cluster import configuration, engine
from infra.cluster.abilities import MEANING
from infra.cluster.configuration import Server, TransitSeal
from infra.cluster.docker import image_tag, prefix
from infra.cluster.external import ExternalCluster, _VaultLogin
from infra.cluster.local import LocalCluster
from infra.cluster.process import ProcessError
from infra.cluster.server_program import is_openbao, server_environment
from infra.cluster.settings import SecretSource, SourceError
from infra.lines import lines
from infra.settings import ConfigError, parse
from tools import binaries
from tools.binaries import Resolved
from tools.errors import ToolError

SERVER = Server("one", "a:1", "a:2", "https://a:1", "https://a:2", "/d", "/c.pem", "/k.pem")
SERVICES = [{"name": "orders", "ttl": "60s", "maxTtl": "5m"}]
EXTERNAL: dict[str, Any] = {
    "vault": {
        "nodes": [
            {"name": "a", "address": "https://vault-a.example:8200"},
            {"name": "b", "address": "https://vault-b.example"},
        ],
        "caFile": "ca.pem",
        "auth": {"token": {"env": "THE_TOKEN"}},
    },
    "postgres": {
        "host": "db.example",
        "password": {"file": "password"},
        "caFile": "ca.pem",
        "vaultHost": "db.internal",
    },
}


def settings(**keys: Any) -> Any:
    """Settings of one service with these keys."""
    given = {f"rotation-drills:{key}": value for key, value in keys.items()}
    return parse("dev", {"rotation-drills:services": SERVICES, **given})


# -- configuration files --------------------------------------------------------------------------


def test_seal_stanza_holds_no_token() -> None:
    """The transit seal is named by address, key and CA; its token goes by the environment."""
    text = configuration.text(SERVER, seal=TransitSeal("https://s:1", "/ca.pem"))
    assert 'seal "transit"' in text
    assert 'address     = "https://s:1"' in text
    assert "token" not in text
    assert 'seal "' not in configuration.text(SERVER)


def test_openbao_may_make_audit_devices_by_its_api() -> None:
    """OpenBao is told to take audit devices from the API; Vault has no such setting."""
    assert "unsafe_allow_api_audit_creation = true" in configuration.text(SERVER, openbao=True)
    assert "unsafe_allow" not in configuration.text(SERVER)


def test_callers_variables_do_not_steer_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller's VAULT_* and BAO_* stay out of a server's environment; the seal's token goes in."""
    monkeypatch.setenv("VAULT_ADDR", "https://elsewhere")
    monkeypatch.setenv("BAO_TOKEN", "of-the-caller")
    monkeypatch.setenv("HOME", "/home/somebody")
    plain = server_environment()
    assert plain["HOME"] == "/home/somebody"
    assert not [key for key in plain if key.startswith(("VAULT_", "BAO_"))]
    sealed = server_environment(seal_token="of-the-seal")
    assert {sealed["VAULT_TOKEN"], sealed["BAO_TOKEN"]} == {"of-the-seal"}
    assert "VAULT_ADDR" not in sealed


# -- OpenBao --------------------------------------------------------------------------------------


def program(folder: Path, name: str, said: str) -> Path:
    """A program that says this of its version."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{said}'\n")
    path.chmod(0o755)
    return path


def test_bao_on_path_serves_where_vault_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`bao` on PATH serves as Vault; a `vault` on PATH comes first."""
    monkeypatch.delenv("ROTATION_DRILLS_VAULT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    program(tmp_path / "bin", "bao", "OpenBao v2.4.1 (abc), built 2026")
    found = binaries.resolve("vault")
    assert (found.version, found.source, found.path.name) == ("2.4.1", "PATH", "bao")
    assert is_openbao(found)
    program(tmp_path / "bin", "vault", "Vault v1.21.0 (abc), built 2026")
    found = binaries.resolve("vault")
    assert (found.version, found.path.name) == ("1.21.0", "vault")
    assert not is_openbao(found)


def test_openbao_is_known_by_what_it_says(tmp_path: Path) -> None:
    """A program given by path is OpenBao by its own word, whatever its file is called."""
    renamed = program(tmp_path, "vault", "OpenBao v2.4.1")
    assert is_openbao(Resolved("vault", renamed, "2.4.1", "environment"))


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"driver": "external"}, "external"),
        ({"external": EXTERNAL}, "driver local does not read it"),
        ({"driver": "docker", "unseal": "transit"}, "transit"),
        ({"driver": "nomad"}, "rotation-drills:driver"),
        (
            {
                "driver": "external",
                "external": {
                    **EXTERNAL,
                    "vault": {
                        **EXTERNAL["vault"],
                        "nodes": [{"name": "a", "address": "http://plain"}],
                    },
                },
            },
            "without TLS",
        ),
        (
            {
                "driver": "external",
                "external": {**EXTERNAL, "vault": {**EXTERNAL["vault"], "auth": {}}},
            },
            "either token or approle",
        ),
    ],
)
def test_wrong_driver_settings_are_one_line(keys: dict[str, Any], words: str) -> None:
    """A driver without what it needs, or with another's, is one line that names the key."""
    with pytest.raises(ConfigError, match=words) as refused:
        settings(**keys)
    assert "\n" not in str(refused.value)


@hypothesis_settings(deadline=None)
@given(st.text(max_size=40), st.booleans())
def test_a_secret_is_never_in_what_is_said_of_it(text: str, is_missing: bool) -> None:
    """A secret's place may be told, the secret not; read, it comes without the file's newline."""
    source = SecretSource(env="SOME_VARIABLE_OF_A_TEST")
    environment = {} if is_missing else {"SOME_VARIABLE_OF_A_TEST": text.replace("\0", "")}
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SOME_VARIABLE_OF_A_TEST", raising=False)
        try:
            for key, value in environment.items():
                patch.setenv(key, value)
        except UnicodeEncodeError:
            return  # not to be had in an environment
        wanted = environment.get("SOME_VARIABLE_OF_A_TEST", "").strip()
        if wanted:
            assert source.read() == wanted
        else:
            with pytest.raises(SourceError, match="SOME_VARIABLE_OF_A_TEST is empty or not set"):
                source.read()


def test_missing_secret_file_is_refused_before_anything_is_declared(tmp_path: Path) -> None:
    """The login's `check` names the file that isn't there, and fails."""
    auth = {"approle": {"role_id": "r", "secret_id": {"file": str(tmp_path / "none")}}}
    refused = _VaultLogin().check({}, {"auth": auth})
    assert [failure.property for failure in refused.failures] == ["external.vault.auth"]
    assert str(tmp_path / "none") in refused.failures[0].reason
    assert _VaultLogin().check({"auth": auth}, {"auth": auth}).failures == []


# -- ways -----------------------------------------------------------------------------------------


def test_ways_of_an_external_stack_are_direct() -> None:
    """Without a proxy services and Vault take the servers' own addresses."""
    ways = lines(settings(driver="external", external=EXTERNAL))
    assert ways.nodes == ["https://vault-a.example:8200", "https://vault-b.example"]
    assert ways.postgres == ("db.example", 5432)
    assert ways.vault_to_postgres == ("db.internal", 5432)
    assert (ways.proxy_api, ways.proxies) == ("", [])


def test_ways_of_servers_here_may_have_a_proxy() -> None:
    """With `proxy: here` there is one for each node, and one on either side of Postgres."""
    ways = lines(settings(driver="external", external={**EXTERNAL, "proxy": "here"}))
    assert [each["upstream"] for each in ways.proxies] == [
        "vault-a.example:8200",
        "vault-b.example:443",
        "db.example:5432",
        "db.example:5432",
    ]
    assert all(each["listen"].startswith("127.0.0.1:") for each in ways.proxies)


def test_in_containers_vault_reaches_the_database_by_its_certificates_name() -> None:
    """Vault asks for `postgres`, the name that the certificate holds, and meets the proxy."""
    ways = lines(settings(driver="docker"))
    assert ways.vault_to_postgres[0] == "postgres"
    assert ways.proxies[0]["upstream"] == "vault-1:8200"
    assert all(each.startswith("https://127.0.0.1:") for each in ways.nodes)


# -- abilities ------------------------------------------------------------------------------------


def test_every_ability_is_explained() -> None:
    """Each ability that a fault needs has words for the refusal."""
    needed = {need for name in names() for need in _fault(name).needs}
    assert needed <= set(MEANING)
    assert "processes" in needed


def _fault(name: str) -> Any:
    from importlib.metadata import entry_points

    return next(
        point for point in entry_points(group="rotation_drills.faults") if point.name == name
    ).load()


def test_external_driver_has_no_hands(tmp_path: Path) -> None:
    """Driver external kills, starts and unseals nothing, and says so in one line."""
    cluster = ExternalCluster(platform(tmp_path))
    assert cluster.abilities() == {"proxy"}  # this platform has one
    for method, more in (("kill", ()), ("start", ()), ("running", ()), ("unseal", (["k"],))):
        with pytest.raises(ProcessError, match="runs elsewhere"):
            getattr(cluster, method)("vault-1", *more)


def test_drill_beyond_the_driver_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault that needs more than the driver has is refused, by name, before anything runs."""
    world = World(tmp_path)
    scene = world.scene()
    faults = [make("revoke-prefix", {"role": "orders"}), make("node-kill", {})]
    preflight.check_able(scene, faults)
    monkeypatch.setattr(type(scene.cluster), "abilities", lambda _self: frozenset({"proxy"}))
    with pytest.raises(SetupError, match="node-kill: driver local of stack test can't kill"):
        preflight.check_able(scene, faults)


def test_local_abilities_follow_the_seal(tmp_path: Path) -> None:
    """Nodes with a seal unseal themselves, so no drill can keep them sealed."""
    cluster = LocalCluster(tmp_path)
    assert "unseal" in cluster.abilities()
    cluster.seal.lay_out(1, "")
    assert "unseal" not in LocalCluster(tmp_path).abilities()


# -- containers -----------------------------------------------------------------------------------


def elf(*, interpreter: bool) -> bytes:
    """The head of a 64-bit ELF program with two program headers."""
    head = bytearray(64)
    head[:5] = b"\x7fELF\x02"
    struct.pack_into("<Q", head, 32, 64)
    struct.pack_into("<HH", head, 54, 56, 2)
    table = [struct.pack("<I52x", kind) for kind in (3 if interpreter else 1, 1)]
    return bytes(head) + b"".join(table)


def test_only_static_programs_become_empty_images(tmp_path: Path) -> None:
    """A program that asks for a loader is refused with what to do; so is what is no program."""
    static, dynamic, script = tmp_path / "static", tmp_path / "dynamic", tmp_path / "script"
    static.write_bytes(elf(interpreter=False))
    dynamic.write_bytes(elf(interpreter=True))
    script.write_text("#!/bin/sh\n")
    engine.check_static(static)
    with pytest.raises(ToolError, match="CGO_ENABLED=0"):
        engine.check_static(dynamic)
    with pytest.raises(ToolError, match="no 64-bit ELF"):
        engine.check_static(script)


def test_missing_engine_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without an engine, or without the SDK, the driver says so in one line."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(ToolError, match="no engine answers") as refused:
        engine.connect()
    assert "\n" not in str(refused.value)
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(ToolError, match="package docker is not installed"):
        engine.connect()


def test_names_tell_stacks_of_two_folders_apart(tmp_path: Path) -> None:
    """Two checkouts with a stack of one name share no container, volume or network."""
    assert prefix(tmp_path / "a" / "dev") != prefix(tmp_path / "b" / "dev")
    assert prefix(tmp_path / "dev").startswith("rotation-drills-dev-")
    assert image_tag("x", "1", "a") != image_tag("x", "1", "b")
