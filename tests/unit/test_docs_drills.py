"""docs/drills.md knows everything that a drill file may hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drills.bounds import BOUNDS
from drills.definition import CATALOG, SAFEGUARDS, Drill, Phases, parse_text
from drills.faults import registry
from drills.loads import KINDS
from drills.verdict import EXIT

DOCS = (Path(__file__).parents[2] / "docs" / "drills.md").read_text(encoding="utf-8")


def row(name: str) -> str:
    """The table row that begins with `name`."""
    found = re.search(rf"^\| `{re.escape(name)}` \|.*$", DOCS, re.MULTILINE)
    assert found, f"docs/drills.md has no row for {name}"
    return found[0]


@pytest.mark.parametrize("name", BOUNDS)
def test_bound_is_documented(name: str) -> None:
    """Every bound has a row that names each of its keys."""
    told = row(name)
    for key in BOUNDS[name].params.model_fields:
        assert f"`{key}" in told, f"{name}: {key}"


@pytest.mark.parametrize("name", SAFEGUARDS)
def test_safeguard_is_documented(name: str) -> None:
    """Every safeguard has a row, with its keys, in the part on safeguards."""
    part = DOCS.split("## Safeguards")[1].split("\n## ")[0]
    [told] = [line for line in part.splitlines() if line.startswith(f"| `{name}` |")]
    for key, field in SAFEGUARDS[name].model_fields.items():
        assert f"`{field.alias or key}`" in told


@pytest.mark.parametrize("name", registry.names())
def test_fault_is_documented(name: str) -> None:
    """Every fault has a row, with its keys, in the part on faults."""
    part = DOCS.split("## Faults")[1].split("\n## ")[0]
    [told] = [line for line in part.splitlines() if line.startswith(f"| `{name}` |")]
    for key in registry.parameters(name):
        assert f"`{key}`" in told


@pytest.mark.parametrize("path", sorted(CATALOG.glob("*.yaml")), ids=lambda path: path.stem)
def test_catalog_drill_is_documented(path: Path) -> None:
    """Every drill of the catalog has a row."""
    row(path.stem)


def test_keys_are_documented() -> None:
    """Every key of a drill file has a row."""
    for key in set(Drill.model_fields) - {"phases"}:
        row(key)
    for part, model in (*(("load", kind) for kind in KINDS.values()), ("phases", Phases)):
        for key in model.model_fields:
            row(f"{part}.{key}")


@pytest.mark.parametrize("verdict", EXIT)
def test_exit_status_is_documented(verdict: str) -> None:
    """Every verdict has a row with its exit status."""
    assert f"| {EXIT[verdict]} | `{verdict}` |" in DOCS  # type: ignore[index]


def test_the_example_is_a_drill() -> None:
    """The example on the page can be run as it stands."""
    [text] = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    parse_text(text, "docs/drills.md", known_faults={"revoke-prefix"})
