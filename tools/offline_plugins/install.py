"""Put the stand-ins where Pulumi looks for plugins."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from pathlib import Path

from tools.offline_plugins.sdk import plugin_version

MARKER = "OFFLINE"
PACKAGES = ("vault", "postgresql")


def install(plugins_dir: Path, python: Path) -> None:
    """Write both stand-ins under `plugins_dir`, to be run by `python`.

    A folder appears whole or not at all, and one of our own is replaced. A published plugin that is
    there already stays, whatever its content: it wins. Raises OSError when the folder can't be
    written; `python` has to be an absolute path, else ValueError.
    """
    if not python.is_absolute():
        raise ValueError(f"{python}: the interpreter has to be given by an absolute path")
    plugins_dir.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        version = plugin_version(f"pulumi_{package}")
        folder = plugins_dir / f"resource-{package}-v{version}"
        if folder.exists() and not (folder / MARKER).exists():
            continue
        _write(folder, package, version, python)


def is_offline(plugin_dir: Path) -> bool:
    """Whether the plugin in this folder is one of ours."""
    return (plugin_dir / MARKER).exists()


def _write(folder: Path, package: str, version: str, python: Path) -> None:
    executable = f"pulumi-resource-{package}"
    script = (
        f'#!/bin/sh\nexec {shlex.quote(str(python))} -P -m tools.offline_plugins.{package} "$@"\n'
    )
    marker = f"The offline stand-in for {executable} v{version}.\n"
    if (folder / executable).exists() and (folder / executable).read_text() == script:
        return
    staging = Path(tempfile.mkdtemp(prefix=".offline-", dir=folder.parent))
    try:
        staging.chmod(0o755)
        (staging / executable).write_text(script, encoding="utf-8")
        (staging / executable).chmod(0o755)
        (staging / MARKER).write_text(marker, encoding="utf-8")
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=".offline-", dir=folder.parent))
            folder.rename(old / "old")
            shutil.rmtree(old)
        os.replace(staging, folder)  # noqa: PTH105 a folder, replaced in one step
    except OSError:
        shutil.rmtree(staging, ignore_errors=True)
        raise
