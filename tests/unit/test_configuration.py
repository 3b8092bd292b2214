"""Every key of a stack's configuration is declared, documented, and refused when mistyped."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from infra import config_keys
from infra.settings import ConfigError, Settings, parse, schema

ROOT = Path(__file__).parents[2]
KEYS = config_keys.every_key(Settings)
MINIMAL: dict[str, Any] = {"rotation-drills:services": [{"name": "orders", "ttl": "60s"}]}


def test_every_key_is_documented() -> None:
    """docs/configuration.md has a row for each key at every depth, and for no other."""
    text = (ROOT / "docs" / "configuration.md").read_text()
    told = re.findall(r"^\| `((?:rotation-drills|drills):[^`]+)`", text, re.MULTILINE)
    assert sorted(told) == sorted(KEYS)


def test_every_key_is_in_pulumi_yaml() -> None:
    """Pulumi.yaml declares each top-level key of the project's own namespace, and no other."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    top = {key for key in KEYS if "." not in key and "[]" not in key}
    assert set(declared) == {key for key in top if key.startswith("rotation-drills:")}
    assert all(each["description"] for each in declared.values())


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_committed_stacks_are_good(stack: str) -> None:
    """Each stack's file is one that the settings take."""
    raw = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    parse(stack, {key: _decoded(value) for key, value in raw.items()})


def _decoded(value: Any) -> Any:
    """As Pulumi hands a value on: a scalar as text, everything else as JSON."""
    try:
        return json.loads(value if isinstance(value, str) else json.dumps(value, default=str))
    except ValueError:
        return value


def test_schema_has_full_names_and_no_room_for_others() -> None:
    """The printed schema is of the object under `config:`, and shut at every depth."""
    made = schema()
    json.dumps(made)
    assert made["additionalProperties"] is False
    assert "drills:allowed" in made["properties"]
    assert made["required"] == ["rotation-drills:services"]
    assert made["$defs"]["LeaseLimits"]["properties"]["ttl"]["default"] == "3600s"
    for name, part in made["$defs"].items():
        assert part["additionalProperties"] is False, name


@pytest.mark.parametrize(
    ("place", "meant"),
    [
        ({"rotation-drills:node": 3}, "did you mean rotation-drills:nodes?"),
        ({"rotation-drills:leaseLimits": {"max_ttl": "1h"}}, "leaseLimits.max_ttl"),
        ({"rotation-drills:leaseLimits": {"max_ttl": "1h"}}, "did you mean maxTtl?"),
        ({"rotation-drills:engines": {"pki": {"domain": ["a"]}}}, "engines.pki.domain: "),
        ({"rotation-drills:engines": {"pki": {"domain": ["a"]}}}, "did you mean domains?"),
        (_service := {"auth": {"method": "jwt", "subjct": "x"}}, "services[0].auth.subjct: "),
        (_service, "did you mean subject?"),
        ({"static": {"user": "x"}}, "services[0].static.user: "),
        ({"static": {"user": "x"}}, "did you mean username?"),
        ({"maxTTL": "1h"}, "did you mean maxTtl?"),
    ],
)
def test_mistyped_key_is_named_with_the_one_meant(place: dict[str, Any], meant: str) -> None:
    """A key that nothing reads is refused at every depth, with the nearest one that is read."""
    raw = dict(MINIMAL)
    if all(":" in key for key in place):
        raw |= place
    else:
        raw["rotation-drills:services"] = [{"name": "orders", "ttl": "60s", **place}]
    with pytest.raises(ConfigError) as refused:
        parse("dev", raw)
    assert "there is no such key" in str(refused.value)
    assert meant in str(refused.value)
    assert "\n" not in str(refused.value)


@given(
    st.text("abcdefgTLx_", min_size=1, max_size=12).filter(lambda key: key not in {"name", "ttl"}),
    st.sampled_from(["", "leaseLimits", "rateLimit", "engines", "services"]),
)
def test_no_unknown_key_passes(key: str, where: str) -> None:
    """Whatever the key and the depth: one that is not in the settings is refused by its name."""
    raw = dict(MINIMAL)
    if not where:
        raw[f"rotation-drills:{key}"] = 1
    elif where == "services":
        raw["rotation-drills:services"] = [{"name": "orders", "ttl": "60s", key: 1}]
    else:
        raw[f"rotation-drills:{where}"] = {key: 1}
    with pytest.raises(ConfigError, match=re.escape(key)):
        parse("dev", raw)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rotation-drills:services": [{"name": "a", "ttl": "2h"}]}, "over leaseLimits.ttl"),
        (
            {"rotation-drills:services": [{"name": "a", "ttl": "1h", "maxTtl": "2d"}]},
            "over leaseLimits.maxTtl",
        ),
        (
            {"rotation-drills:services": [{"name": n, "ttl": "1h"} for n in ("a", "b", "a")]},
            "the name a is there twice",
        ),
        (
            {
                "rotation-drills:services": [
                    {"name": "a", "ttl": "1h"},
                    {
                        "name": "b",
                        "ttl": "1h",
                        "static": {"username": "a_rw", "rotationPeriod": "1d"},
                    },
                ]
            },
            "a_rw is there twice",
        ),
        (
            {
                "rotation-drills:services": [
                    {
                        "name": "a",
                        "ttl": "1h",
                        "auth": {"method": "jwt", "subject": "s", "audience": "vault"},
                    }
                ]
            },
            "auth.jwt is not there",
        ),
        (
            {
                "rotation-drills:apiKeys": [
                    {"name": "k", "service": "b", "owner": "x", "rotateBy": "2027-01-01"}
                ]
            },
            "there is no service b",
        ),
        (
            {"rotation-drills:production": True, "drills:allowed": True},
            "needs drills:window",
        ),
        ({"drills:window": {"days": ["mon"], "start": "02:00", "end": "02:00"}}, "empty window"),
    ],
)
def test_parts_that_do_not_fit_are_one_line(change: dict[str, Any], words: str) -> None:
    """What is right by itself and wrong beside the rest is one line that names both."""
    with pytest.raises(ConfigError) as refused:
        parse("prod", {**MINIMAL, **change})
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_four_lines_make_a_service() -> None:
    """Name, database, privileges and ttl are enough; the rest has defaults."""
    four = {"name": "orders", "database": "shop", "privileges": ["SELECT"], "ttl": "60s"}
    (service,) = parse("dev", {"rotation-drills:services": [four]}).services
    assert service.max_ttl == 300
    assert service.auth.method == "approle"
    assert service.secrets == ["config"]
