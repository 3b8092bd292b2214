"""What `drill artefacts` writes: files that their readers take, and no secret in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from program_mocks import run_program

from drills.artefacts import render, write
from drills.errors import SetupError
from infra.platform import Platform

CONFIG = {
    "rotation-drills:auth": (
        '{"jwt":{"issuer":"https://ci.example"},'
        '"kubernetes":{"host":"https://k:6443","caCert":"made-up"},"cert":{"caCert":"made-up"}}'
    ),
    "rotation-drills:services": (
        '[{"name":"orders","ttl":"60s"},'
        '{"name":"ci","ttl":"1m","auth":{"method":"jwt","subject":"repo","audience":"vault"}},'
        '{"name":"web_shop","ttl":"1m","database":"web",'
        '"auth":{"method":"kubernetes","namespace":"shop","serviceAccount":"web"}},'
        '{"name":"edge","ttl":"1m","auth":{"method":"cert","commonName":"edge.internal"}}]'
    ),
}


@pytest.fixture(scope="module")
def platform() -> Platform:
    _, outputs = run_program(CONFIG)
    return Platform.model_validate({name: value for name, (value, _) in outputs.items()})


METHODS = {"orders": "approle", "ci": "jwt", "web_shop": "kubernetes", "edge": "cert"}


def test_services_that_log_in_otherwise_are_workloads(platform: Platform) -> None:
    """Only what logs in by AppRole can be drilled; the others are told apart, with their method."""
    assert [each.name for each in platform.services] == ["orders"]
    assert {each.name: each.method for each in platform.workloads} == {
        name: method for name, method in METHODS.items() if method != "approle"
    }
    assert platform.workloads[1].database == "web"


@pytest.mark.parametrize(("service", "method"), METHODS.items())
def test_each_method_has_its_agent_and_pod(platform: Platform, service: str, method: str) -> None:
    """Agent logs in by the service's method; the pod's credentials are on a volume in memory."""
    texts = render(platform, service)
    assert f'type       = "{method}"' in texts["agent.hcl"]
    assert f'{{{{ with secret "database/creds/{service}" -}}}}' in texts["database.ctmpl"]
    assert f"secret/data/dev/{service}/config" in texts["secrets.ctmpl"]
    pod: dict[str, Any] = yaml.safe_load(texts["kubernetes.yaml"])["spec"]["template"]["spec"]
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert volumes["rendered"]["emptyDir"]["medium"] == "Memory"
    assert pod["serviceAccountName"] == ("web" if service == "web_shop" else service)
    mounted = {each["name"] for each in pod["initContainers"][0]["volumeMounts"]}
    assert mounted == set(volumes)
    assert all("[[" not in text and "[%" not in text for text in texts.values())


def test_no_secret_is_written(platform: Platform, tmp_path: Path) -> None:
    """The role id is no secret and is written; the secret id is one and is not."""
    written = write(platform, "orders", tmp_path / "new" / "folder")
    text = "".join(path.read_text() for path in written)
    assert platform.services[0].auth.role_id in text
    assert platform.services[0].auth.secret_id.get_secret_value() not in text
    assert platform.vault.operator_token.get_secret_value() not in text


def test_unknown_service_names_those_that_exist(platform: Platform, tmp_path: Path) -> None:
    """A service that is not there is one line that names those that are; nothing is written."""
    with pytest.raises(SetupError, match=r"no service 'order'; it has: orders, ci"):
        write(platform, "order", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_folder_that_can_not_be_written_is_one_line(platform: Platform, tmp_path: Path) -> None:
    """A file where the folder should be is told by its name."""
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match=r"file.* can't be written"):
        write(platform, "orders", tmp_path / "file")
