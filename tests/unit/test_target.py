"""`Target`: where it is read from, and what is said when it can't be."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from loadtests import secrets, target
from loadtests.target import AppRole, Jwt, Target, TargetError, TokenFile

SECRET = "3fa7c0de-secret-id"


def _given(**changes: Any) -> dict[str, Any]:
    return {
        "vault_addresses": ["https://one:8200", "https://two:8200"],
        "vault_ca_pem": "PEM",
        "auth": {"method": "approle", "mount": "approle", "role_id": "r", "secret_id": SECRET},
        "database_mount": "database",
        "role": "orders",
        "postgres": {"host": "db", "port": 5432, "database": "orders", "ca_pem": "PEM"},
        **changes,
    }


def _outputs() -> dict[str, Any]:
    login = {"mount": "approle", "role_id": "r", "secret_id": SECRET}
    return {
        "vault": {
            "nodes": [
                {"name": "vault-1", "address": "https://a:1", "proxied_address": "https://p:1"},
                {"name": "vault-2", "address": "https://a:2", "proxied_address": "https://p:2"},
            ],
            "ca_pem": "PEM",
            "database_mount": "database",
        },
        "postgres": {
            "host": "a",
            "port": 1,
            "proxied_host": "p",
            "proxied_port": 2,
            "database": "app",
            "ca_pem": "PEM",
        },
        "services": [
            {"name": "orders", "auth": login, "role": "orders"},
            {"name": "billing", "auth": login, "role": "bills"},
        ],
    }


def test_a_target_comes_through_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fd:N` hands over the target without a file, and `reveal` is what `load` reads."""
    reading, writing = os.pipe()
    first = Target.model_validate(_given())
    os.write(writing, first.reveal().encode())
    os.close(writing)
    monkeypatch.setenv(target.VARIABLE, f"fd:{reading}")
    assert Target.load() == first


def test_a_target_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Any other value is a path."""
    path = tmp_path / "target.json"
    path.write_text(json.dumps(_given()))
    monkeypatch.setenv(target.VARIABLE, str(path))
    assert Target.load().postgres.host == "db"


@pytest.mark.parametrize(
    ("auth", "kind"),
    [
        ({"method": "approle", "role_id": "r", "secret_id": "s"}, AppRole),
        ({"method": "token-file", "path": "/run/token"}, TokenFile),
        ({"method": "jwt", "role": "orders", "path": "/run/jwt"}, Jwt),
    ],
)
def test_the_method_chooses_how_to_log_in(auth: dict[str, str], kind: type) -> None:
    """Three ways to log in, told apart by `method`."""
    assert isinstance(Target.model_validate(_given(auth=auth)).auth, kind)


def test_a_stack_is_reached_through_its_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults strike between service and platform, so the load takes the proxied addresses."""
    monkeypatch.delenv(target.VARIABLE, raising=False)
    monkeypatch.setattr(target, "_stack_outputs", _outputs)
    found = Target.load()
    assert found.vault_addresses == ["https://p:1", "https://p:2"]
    assert (found.postgres.host, found.postgres.port) == ("p", 2)
    assert found.role == "orders"


def test_the_service_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """`LOADTESTS_SERVICE` names one, and a wrong name is answered with the right ones."""
    monkeypatch.delenv(target.VARIABLE, raising=False)
    monkeypatch.setattr(target, "_stack_outputs", _outputs)
    monkeypatch.setenv(target.SERVICE_VARIABLE, "billing")
    assert Target.load().role == "bills"
    monkeypatch.setenv(target.SERVICE_VARIABLE, "bills")
    with pytest.raises(TargetError, match="it has: orders, billing"):
        Target.load()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vault_addresses": []}, "vault_addresses: List should have at least 1 item"),
        ({"vault_adresses": ["x"]}, "vault_adresses: Extra inputs are not permitted"),
        ({"auth": {"method": "magic"}}, "auth: Input tag 'magic'"),
        ({"postgres": {"host": "db", "port": 0, "database": "d", "ca_pem": None}}, "postgres.port"),
    ],
)
def test_a_bad_target_names_the_key(
    changes: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One line: where it came from, the key, what is wrong; and never the secret."""
    path = tmp_path / "target.json"
    path.write_text(json.dumps(_given(**changes)))
    monkeypatch.setenv(target.VARIABLE, str(path))
    with pytest.raises(TargetError) as caught:
        Target.load()
    line = str(caught.value)
    assert said in line
    assert str(path) in line
    assert "\n" not in line
    assert SECRET not in line


@pytest.mark.parametrize("given", ["fd:x", "fd:9999", "/no/such/file"])
def test_a_target_that_cannot_be_read_says_what_to_give(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong descriptor or path is answered with the two forms there are."""
    monkeypatch.setenv(target.VARIABLE, given)
    with pytest.raises(TargetError, match=r"give fd:N or the path of a JSON file"):
        Target.load()


def test_a_target_shows_no_secret() -> None:
    """Neither repr nor str of a target can land a secret in a log."""
    assert SECRET not in repr(Target.model_validate(_given()))
    assert SECRET not in Target.model_validate(_given()).model_dump_json()


def test_a_handled_secret_goes_to_the_runner_and_out_of_the_logs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line to the pipe for each value, once; and its kind in place of it from then on."""
    reading, writing = os.pipe()
    monkeypatch.setenv(secrets.VARIABLE, str(writing))
    secrets.handled("password", "p-4711-unique")
    secrets.handled("password", "p-4711-unique")
    os.close(writing)
    assert os.read(reading, 1000) == b"password\tp-4711-unique\n"
    assert secrets.redact("with p-4711-unique in it") == "with [password] in it"
    os.close(reading)


def test_a_runner_that_does_not_read_does_not_stop_the_load(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full pipe costs a moment, not the run."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(writing, True)
    monkeypatch.setenv(secrets.VARIABLE, str(writing))
    secrets.handled("token", "t-0815-unique")
    os.close(reading)
    os.close(writing)
    assert secrets.redact("t-0815-unique") == "[token]"
