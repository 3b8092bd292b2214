"""Installing the stand-ins, and their processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.offline_plugins.install import MARKER, PACKAGES, install, is_offline
from tools.offline_plugins.sdk import plugin_version


def folder(plugins: Path, package: str) -> Path:
    """Where Pulumi looks for the plugin of the installed SDK."""
    return plugins / f"resource-{package}-v{plugin_version(f'pulumi_{package}')}"


def test_install_writes_marked_executables(tmp_path: Path) -> None:
    """Each folder holds an executable and the marker, and a second install changes nothing."""
    install(tmp_path, Path(sys.executable))
    for package in PACKAGES:
        executable = folder(tmp_path, package) / f"pulumi-resource-{package}"
        assert os.access(executable, os.X_OK)
        assert is_offline(executable.parent)
    install(tmp_path, Path(sys.executable))
    assert len(list(tmp_path.iterdir())) == len(PACKAGES)


def test_a_published_plugin_stays(tmp_path: Path) -> None:
    """A plugin without our marker is not ours to replace."""
    published = folder(tmp_path, "vault") / "pulumi-resource-vault"
    published.parent.mkdir()
    published.write_text("published")
    install(tmp_path, Path(sys.executable))
    assert published.read_text() == "published"
    assert not (published.parent / MARKER).exists()


def test_another_interpreter_replaces_ours(tmp_path: Path) -> None:
    """A stand-in of an environment that has moved is written anew."""
    install(tmp_path, Path("/gone/python"))
    install(tmp_path, Path(sys.executable))
    executable = folder(tmp_path, "vault") / "pulumi-resource-vault"
    assert sys.executable in executable.read_text()
    assert len(list(tmp_path.iterdir())) == len(PACKAGES)


def test_a_relative_interpreter_is_refused(tmp_path: Path) -> None:
    """The plugin runs in folders that nobody knows beforehand."""
    with pytest.raises(ValueError, match="absolute"):
        install(tmp_path, Path("python"))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_plugin_prints_its_port_and_ends_quietly(package: str, tmp_path: Path) -> None:
    """Run from any folder it prints one port, and an interrupt ends it without a word."""
    install(tmp_path, Path(sys.executable))
    executable = folder(tmp_path, package) / f"pulumi-resource-{package}"
    (tmp_path / "tools").mkdir()  # a folder of that name in the way must not matter
    with subprocess.Popen(
        [executable, "127.0.0.1:1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert errors == ""


def test_a_plugin_ends_with_its_engine(tmp_path: Path) -> None:
    """An engine that was killed leaves no plugin behind."""
    install(tmp_path, Path(sys.executable))
    executable = folder(tmp_path, "postgresql") / "pulumi-resource-postgresql"
    script = f'"{executable}" 127.0.0.1:1 & echo $!; wait'
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        pid = int(engine.stdout.readline())
        assert int(engine.stdout.readline()) > 0
        engine.kill()
        engine.wait()
        deadline = time.monotonic() + 20
        while _runs(pid):
            assert time.monotonic() < deadline, "the plugin is still there"
            engine.stdout.read()  # ends when the plugin, its last writer, has ended


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
