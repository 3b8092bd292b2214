"""The environment in which plain `pulumi` works."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tools import environment
from tools.errors import ToolError
from tools.offline_plugins.install import MARKER
from tools.offline_plugins.sdk import plugin_version


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith(("PULUMI_", "ROTATION_DRILLS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    pulumi = tmp_path / "given" / "pulumi"
    pulumi.parent.mkdir()
    pulumi.write_text("#!/bin/sh\necho v3.259.0\n")
    pulumi.chmod(0o755)
    monkeypatch.setenv("ROTATION_DRILLS_PULUMI", str(pulumi))
    root = tmp_path / "project with space"
    root.mkdir()
    (root / "Pulumi.yaml").write_text("name: rotation-drills\n")
    return root


def publish(home: Path, name: str) -> Path:
    folder = home / "plugins" / f"resource-{name}-v{plugin_version(f'pulumi_{name}')}"
    folder.mkdir(parents=True)
    executable = folder / f"pulumi-resource-{name}"
    executable.write_text("#!/bin/sh\necho published\n")
    executable.chmod(0o755)
    (folder / "PulumiPlugin.yaml").write_text("runtime: go\n")
    return executable


def test_offline_plugins_serve_where_none_is_published(root: Path) -> None:
    """With no published plugin the stand-ins are installed in a home of the project's own."""
    exports = environment.pulumi_exports(root)
    home = Path(exports["PULUMI_HOME"])
    assert home == root / ".state" / "pulumi-home"
    assert {plugin.source for plugin in environment.plugins(home)} == {"offline"}
    assert len(list(home.glob(f"plugins/*/{MARKER}"))) == 2


def test_published_plugin_is_used_untouched(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A published plugin under $PULUMI_HOME serves by a link, and its home is not written to."""
    users = tmp_path / "users"
    published = publish(users, "vault")
    before = sorted(users.rglob("*"))
    monkeypatch.setenv("PULUMI_HOME", str(users))
    environment.pulumi_exports(root)  # with the stand-in there first, as on an earlier day
    home = Path(environment.pulumi_exports(root)["PULUMI_HOME"])
    served = {plugin.name: plugin.source for plugin in environment.plugins(home)}
    assert served == {"vault": "published", "postgresql": "offline"}
    link = home / "plugins" / published.parent.name / published.name
    assert link.resolve() == published
    assert not (link.parent / MARKER).exists()
    assert sorted(users.rglob("*")) == before


def test_home_with_all_published_plugins_is_kept(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's home that has both published plugins is used as it is."""
    users = tmp_path / "users"
    publish(users, "vault")
    publish(users, "postgresql")
    monkeypatch.setenv("PULUMI_HOME", str(users))
    exports = environment.pulumi_exports(root)
    assert exports["PULUMI_HOME"] == str(users)
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in exports


def test_stand_in_gives_way_to_a_plugin_published_later(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin that is published after the stand-in was installed takes its place."""
    environment.pulumi_exports(root)
    users = tmp_path / "users"
    publish(users, "vault")
    monkeypatch.setenv("PULUMI_HOME", str(users))
    home = Path(environment.pulumi_exports(root)["PULUMI_HOME"])
    assert {p.name: p.source for p in environment.plugins(home)}["vault"] == "published"


def test_users_backend_and_passphrase_stay(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user has set of Pulumi's own variables is not exported over."""
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://theirs")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "theirs")
    exports = environment.pulumi_exports(root)
    assert "PULUMI_BACKEND_URL" not in exports
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in exports


def test_passphrase_is_random_private_and_kept(root: Path) -> None:
    """The passphrase is made once, and only its owner may read it."""
    first = Path(environment.pulumi_exports(root)["PULUMI_CONFIG_PASSPHRASE_FILE"])
    value = first.read_text()
    assert len(value) >= 32
    assert first.stat().st_mode & 0o077 == 0
    again = Path(environment.pulumi_exports(root)["PULUMI_CONFIG_PASSPHRASE_FILE"])
    assert again.read_text() == value


def test_exports_survive_a_shell(root: Path) -> None:
    """Quoted as `drill env` does, the exports reach another shell whole, spaces and all."""
    exports = environment.pulumi_exports(root)
    script = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in exports.items())
    script += 'printf %s "$PULUMI_HOME"; pulumi version'
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout == f"{exports['PULUMI_HOME']}v3.259.0\n"


def test_root_is_found_from_below_and_missed_outside(root: Path, tmp_path: Path) -> None:
    """The project is found from any folder in it; outside, the error says to change into one."""
    below = root / "a" / "b"
    below.mkdir(parents=True)
    assert environment.find_root(below) == root
    with pytest.raises(ToolError, match="not in a rotation-drills checkout"):
        environment.find_root(tmp_path)
