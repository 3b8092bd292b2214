"""The search for secrets after a run: everywhere, in every spelling, and never silently less."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills import leaks
from drills.errors import SetupError
from drills.redact import Secrets

SECRET = 'a"b/c+d-0123456789'
SPELLINGS = {
    "plain": SECRET,
    "json": json.dumps(SECRET)[1:-1],
    "url": quote(SECRET, safe=""),
    "base64": base64.b64encode(SECRET.encode()).decode(),
}


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """A run folder with an agent's folder in it, and the drills' state folder."""
    found = {"run_folder": tmp_path / "run", "state_dir": tmp_path / "state"}
    for folder in (*found.values(), found["run_folder"] / "agent"):
        folder.mkdir()
    return found


def scan(places: dict[str, Path]) -> leaks.Scan:
    secrets = Secrets()
    secrets.add("password", SECRET)
    return leaks.scan(secrets, **places, stack="dev", root=Path())


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_secret_in_the_state_is_a_hit(
    places: dict[str, Path], spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret that the exported state shows in clear is one hit; the export is in no file."""
    monkeypatch.setattr(leaks, "export_state", lambda *_: f'{{"x": "{SPELLINGS[spelling]}"}}')
    found = scan(places)
    assert found == leaks.Scan([{"file": leaks.STATE, "kind": "password"}], None)
    assert [path for folder in places.values() for path in folder.rglob("*.json")] == []


@pytest.mark.parametrize("place", ["run/agent/agent.log", "run/load.log", "state/watchdog.log"])
def test_every_folder_is_searched(
    places: dict[str, Path], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What service, locust, agent and watchdog wrote is searched."""
    monkeypatch.setattr(leaks, "export_state", lambda *_: "{}")
    (places["run_folder"].parent / place).write_text(f"said {SECRET}")
    assert [hit["file"] for hit in scan(places).hits] == [Path(place).name]


def test_state_that_can_not_be_had_is_told(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state that was not searched is a hole in the evidence, not a clean one."""

    def refuse(*_: object) -> str:
        raise SetupError("stack dev: no such stack")

    monkeypatch.setattr(leaks, "export_state", refuse)
    assert "no such stack" in (scan(places).missing or "")


@given(
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40),
    before=st.binary(max_size=30),
)
def test_no_spelling_is_missed(secret: str, before: bytes) -> None:
    """Plain, in JSON, in a URL, or in base64: whatever the secret, it is found."""
    secrets = Secrets()
    secrets.add("token", secret)
    for text in (json.dumps({"x": secret}), quote(secret, safe=""), secret):
        assert secrets.scan_text("x", before.decode("latin-1") + text)
