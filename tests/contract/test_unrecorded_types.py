"""Types that the recording does not have: the published schema, and a real Vault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import contract_recording as recording
import contract_servers as servers
import pytest
from contract_stack import Stack

from tools.offline_plugins import sdk
from tools.offline_plugins.vault import catalog

CERTIFICATE = "vault:index/certAuthBackendRole:CertAuthBackendRole"


def test_inputs_and_replacements_are_the_published_ones() -> None:
    """The stand-in takes the inputs of the published schema, and replaces on the same ones."""
    published = recording.schemas("vault")[CERTIFICATE]["inputs"]
    ours = catalog.everything()[CERTIFICATE]
    assert set(sdk.schema(CERTIFICATE).inputs) - ours.absent == set(published)
    replaces = {
        name for name, each in published.items() if isinstance(each, dict) and each.get("replaces")
    }
    assert ours.replaces == replaces


@pytest.mark.slow
def test_a_certificate_role_on_a_real_vault(tmp_path: Path) -> None:
    """It goes up, settles, is found when changed by hand, changes in place and goes."""
    with servers.vault(tmp_path) as vault:
        (tmp_path / "stack").mkdir()
        role: dict[str, Any] = {
            "name": "edge",
            "type": CERTIFICATE,
            "inputs": {
                "backend": {"$ref": ["cert", "path"]},
                "name": "edge",
                "certificate": recording.key_material()["ca_certificate"],
                "allowedCommonNames": ["b.internal", "a.internal"],
                "tokenPolicies": ["edge"],
                "tokenTtl": 600,
                "tokenMaxTtl": 3600,
            },
        }
        method = {
            "name": "cert",
            "type": "vault:index/authBackend:AuthBackend",
            "inputs": {"type": "cert", "path": "cert"},
        }
        stack = Stack(
            tmp_path / "stack",
            {"address": vault.address, "token": vault.token, "skip_child_token": True},
            {"host": "127.0.0.1", "username": "nobody", "password": "made-up"},
            [method, role],
        )
        stack.up().ok()
        stack.up("--expect-no-changes").ok()
        stack.run("refresh", "--preview-only", "--expect-no-changes").ok()
        before = stack.export()["edge"]
        assert before["outputs"]["allowedCommonNames"] == ["a.internal", "b.internal"]
        vault.client.write(
            "auth/cert/certs/edge",
            {"display_name": "x", "token_ttl": 60, "certificate": role["inputs"]["certificate"]},
        )
        drift = stack.run("refresh", "--preview-only", "--expect-no-changes")
        assert drift.exit != 0
        role["inputs"]["tokenTtl"] = 300
        stack.up().ok()
        after = stack.export()["edge"]
        assert after["id"] == before["id"]
        held = (vault.client.get("auth/cert/certs/edge") or {})["data"]
        assert held["token_ttl"] == 300
        stack.run("destroy", "--yes", "--skip-preview").ok()
        assert stack.export() == {}
