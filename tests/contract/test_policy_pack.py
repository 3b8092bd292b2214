"""The policy pack by the real CLI: what `pulumi preview --policy-pack` refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from contract_stack import Stack

pytestmark = pytest.mark.slow

PACK = str(Path(__file__).parents[2] / "infra" / "policypack")
NOWHERE: dict[str, Any] = {"host": "127.0.0.1", "username": "nobody", "password": "made-up"}


def _vault(address: str) -> dict[str, Any]:
    return {"address": address, "token": "made-up", "skip_child_token": True}


def _audit(number: int) -> dict[str, Any]:
    return {
        "name": f"audit-{number}",
        "type": "vault:index/audit:Audit",
        "inputs": {"type": "file", "path": f"file-{number}", "options": {"file_path": "/dev/null"}},
    }


def _policy(path: str) -> dict[str, Any]:
    text = f'path "{path}" {{ capabilities = ["read"] }}\n'
    return {
        "name": "policy",
        "type": "vault:index/policy:Policy",
        "inputs": {"name": "orders", "policy": text},
    }


def test_a_program_that_breaks_rules_is_refused(tmp_path: Path) -> None:
    """The CLI ends with an error that names each broken rule and what breaks it; what is as it
    should be passes. A preview asks no server."""
    stack = Stack(
        tmp_path,
        _vault("http://127.0.0.1:1"),
        {**NOWHERE, "sslmode": "require"},
        [_audit(1), _policy("secret/*")],
    )
    refused = stack.run("preview", "--policy-pack", PACK)
    assert refused.exit != 0
    assert "no-wildcard-paths" in refused.text
    assert 'path "secret/*" is a wildcard over secrets' in refused.text
    assert "tls-everywhere" in refused.text
    stack.vault = _vault("https://127.0.0.1:1")
    stack.resources[1] = _policy("secret/data/dev/orders/config")
    alone = stack.run("preview", "--policy-pack", PACK)
    assert alone.exit != 0
    assert "one audit device alone" in alone.text
    stack.resources.append(_audit(2))
    stack.run("preview", "--policy-pack", PACK).ok()
