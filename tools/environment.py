"""The environment in which plain `pulumi …` works: what `drill env` prints.

Everything of this project lives under `<root>/.state`: Pulumi's own state, the passphrase of its
secrets, the stacks' processes. What the user has set already (a backend, a passphrase) stays.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tools import binaries
from tools.build import Say, say_on_stderr
from tools.errors import ToolError
from tools.offline_plugins import install as offline
from tools.offline_plugins.sdk import plugin_version

_PLUGINS = {"vault": "pulumi_vault", "postgresql": "pulumi_postgresql"}


@dataclass(frozen=True)
class Plugin:
    """A Pulumi provider plugin, and which one serves."""

    name: str
    version: str
    source: Literal["published", "offline"]
    path: Path


def find_root(start: Path | None = None) -> Path:
    """Return the project's folder: `$ROTATION_DRILLS_ROOT`, or the nearest with our Pulumi.yaml.

    Raises `ToolError` when there is none above `start` (default: the working folder).
    """
    if given := os.environ.get("ROTATION_DRILLS_ROOT"):
        root = Path(given).expanduser().resolve()
        if not (root / "Pulumi.yaml").exists():
            raise ToolError(f"ROTATION_DRILLS_ROOT={given}: there is no Pulumi.yaml")
        return root
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        project = folder / "Pulumi.yaml"
        if project.exists() and "name: rotation-drills" in project.read_text():
            return folder
    raise ToolError(f"{here} is not in a rotation-drills checkout: change into one")


def _write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_symlink() and path.read_text() == text:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.chmod(0o755)
    draft.replace(path)


def _link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() and path.readlink() == target:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.symlink_to(target)
    draft.replace(path)


def _user_home() -> Path:
    return Path(os.environ.get("PULUMI_HOME") or "~/.pulumi").expanduser().resolve()


def plugins(home: Path) -> list[Plugin]:
    """Return the plugins that `home` holds or will be given, published ones first."""
    found = []
    for name, module in _PLUGINS.items():
        version = plugin_version(module)
        folder = f"resource-{name}-v{version}"
        for place in dict.fromkeys((_user_home(), home)):
            executable = place / "plugins" / folder / f"pulumi-resource-{name}"
            if executable.exists() and not (executable.parent / offline.MARKER).exists():
                found.append(Plugin(name, version, "published", executable.resolve()))
                break
        else:
            place = home / "plugins" / folder / f"pulumi-resource-{name}"
            found.append(Plugin(name, version, "offline", place))
    return found


def _prepare_home(home: Path) -> Path:
    """Return the PULUMI_HOME to use, with every plugin in it.

    The user's own home is used, untouched, when it holds all published plugins; else one of ours
    that links to those that it holds, with the offline ones beside them.
    """
    served = plugins(home)
    users = _user_home()
    if all(plugin.source == "published" and users in plugin.path.parents for plugin in served):
        return users
    (home / "plugins").mkdir(parents=True, exist_ok=True)
    missing = [plugin.name for plugin in served if plugin.source == "offline"]
    for plugin in served:
        folder = home / "plugins" / f"resource-{plugin.name}-v{plugin.version}"
        if plugin.source == "published" and home not in plugin.path.parents:
            if (folder / offline.MARKER).exists():
                shutil.rmtree(folder)
            # The CLI passes over a link to a folder, so the folder is real and its files links.
            for file in plugin.path.parent.iterdir():
                _link(folder / file.name, file)
    if missing:
        offline.install(home / "plugins", Path(sys.executable))
    return home


def _prepare_bin(bin_dir: Path, pulumi: Path) -> None:
    python = shlex.quote(sys.executable)
    _link(bin_dir / "pulumi", pulumi)
    host = shutil.which("pulumi-language-python") if pulumi.parent != bin_dir else None
    beside = pulumi.parent / "pulumi-language-python"
    if not beside.exists() and (host is None or Path(host).parent == bin_dir):
        script = f'#!/bin/sh\nexec {python} -Pu -m tools.language_host "$@"\n'
        _write_script(bin_dir / "pulumi-language-python", script)
    dynamic = f'#!/bin/sh\nexec {python} -Pu -m pulumi.dynamic "$@"\n'
    if not (pulumi.parent / "pulumi-resource-pulumi-python").exists():
        _write_script(bin_dir / "pulumi-resource-pulumi-python", dynamic)


def _passphrase_file(state: Path) -> Path:
    path = state / "passphrase"
    if not path.exists():
        draft = path.with_name(f".passphrase.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(32))
        try:
            os.link(draft, path)  # of two callers at once, the first one's stays
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path


def pulumi_exports(root: Path, *, say: Say = say_on_stderr) -> dict[str, str]:
    """Return the variables to export, and set up what they name. Builds Pulumi if need be.

    Raises `ToolError`. Idempotent; safe to call from two processes at once.
    """
    state = root / ".state"
    state.mkdir(mode=0o700, exist_ok=True)
    bin_dir = state / "bin"
    pulumi = binaries.resolve("pulumi", say=say).path
    _prepare_bin(bin_dir, pulumi)
    home = _prepare_home(state / "pulumi-home")
    rest = [part for part in os.environ.get("PATH", "").split(os.pathsep) if part != str(bin_dir)]
    exports = {
        "PATH": os.pathsep.join([str(bin_dir), *rest]),
        "PULUMI_HOME": str(home),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "ROTATION_DRILLS_ROOT": str(root),
        "ROTATION_DRILLS_PYTHON": sys.executable,
    }
    if any(plugin.source == "offline" for plugin in plugins(state / "pulumi-home")):
        exports["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    if "PULUMI_BACKEND_URL" not in os.environ:
        backend = state / "backend"
        backend.mkdir(exist_ok=True)
        exports["PULUMI_BACKEND_URL"] = f"file://{backend}"
    if not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & set(os.environ):
        exports["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(_passphrase_file(state))
    return exports


def pulumi_environment(root: Path, *, say: Say = say_on_stderr) -> dict[str, str]:
    """Return the caller's environment with `pulumi_exports` on top."""
    return {**os.environ, **pulumi_exports(root, say=say)}
