"""The stack's configuration."""

from __future__ import annotations

from typing import Any

import pytest

from infra.settings import ConfigError, parse

GOOD: dict[str, Any] = {
    "drills:allowed": True,
    "rotation-drills:nodes": 3,
    "rotation-drills:services": [{"name": "orders", "ttl": "60s", "maxTtl": "5m"}],
}


def test_good_configuration_is_typed() -> None:
    """Durations become seconds, and defaults fill what is left out."""
    settings = parse("dev", GOOD)
    assert settings.drills_allowed
    assert settings.base_port == 28200
    assert (settings.services[0].ttl, settings.services[0].max_ttl) == (60, 300)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rotation-drills:nods": 3}, "rotation-drills:nods: there is no such key"),
        ({"rotation-drills:nodes": 4}, "odd"),
        ({"rotation-drills:nodes": "three"}, "rotation-drills:nodes"),
        ({"rotation-drills:basePort": 80}, "rotation-drills:basePort"),
        ({"drills:allowed": "perhaps"}, "drills:allowed"),
        (
            {"rotation-drills:services": [{"name": "orders", "ttl": "60", "maxTtl": "5m"}]},
            "unit",
        ),
        (
            {"rotation-drills:services": [{"name": "orders", "ttl": "10m", "maxTtl": "5m"}]},
            "longer than maxTtl",
        ),
        ({"rotation-drills:services": []}, "rotation-drills:services"),
        ({"rotation-drills:services": [{"name": "x y", "ttl": "1m", "maxTtl": "5m"}]}, "name"),
    ],
)
def test_wrong_configuration_is_one_line(change: dict[str, Any], words: str) -> None:
    """A wrong key or value is one line that names the file and what is wrong."""
    with pytest.raises(ConfigError) as refused:
        parse("staging", {**GOOD, **change})
    assert str(refused.value).startswith("Pulumi.staging.yaml: ")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_other_packages_keys_are_left_alone() -> None:
    """Keys of other namespaces are not this project's to judge."""
    parse("dev", {**GOOD, "pulumi:disable-default-providers": ["*"]})
