"""Where vault, pulumi and toxiproxy come from: the environment, PATH, or a pinned Go module."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tools.build import GoProgram, Say, build, module_version, say_on_stderr
from tools.errors import ToolError

Source = Literal["environment", "PATH", "built", "not built yet"]
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Tool:
    """A program and its Go module."""

    name: str
    executable: str
    module: str
    package: str
    oldest: tuple[int, int, int]
    version_arguments: tuple[str, ...]
    version_variable: str = ""
    #: Other programs that serve as well, by their names on PATH; the tool's own comes first.
    instead: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The environment variable that names a binary to use instead."""
        return f"ROTATION_DRILLS_{self.name.upper()}"

    @property
    def folder(self) -> Path:
        """The folder of its go.mod."""
        return _HERE / self.name

    @property
    def pinned(self) -> str:
        """The version that its go.mod pins."""
        return module_version(self.folder, self.module)

    @property
    def program(self) -> GoProgram:
        """What to build; tools whose version is set by their release build get it here too."""
        ldflags = f"-X {self.version_variable}={self.pinned}" if self.version_variable else ""
        return GoProgram(self.name, self.folder, self.package, self.executable, ldflags)


@dataclass(frozen=True)
class Resolved:
    """A tool that was found (or, `not built yet`, would be built)."""

    name: str
    path: Path
    version: str
    source: Source


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            name="vault",
            executable="vault",
            module="github.com/hashicorp/vault",
            package="github.com/hashicorp/vault",
            oldest=(1, 15, 0),
            version_arguments=("version",),
            instead=("bao",),
        ),
        Tool(
            name="pulumi",
            executable="pulumi",
            module="github.com/pulumi/pulumi/pkg/v3",
            package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
            oldest=(3, 200, 0),
            version_arguments=("version",),
            version_variable="github.com/pulumi/pulumi/sdk/v3/go/common/version.Version",
        ),
        Tool(
            name="toxiproxy",
            executable="toxiproxy-server",
            module="github.com/Shopify/toxiproxy/v2",
            package="github.com/Shopify/toxiproxy/v2/cmd/server",
            oldest=(2, 5, 0),
            version_arguments=("-version",),
            version_variable="github.com/Shopify/toxiproxy/v2.Version",
        ),
    )
}


def parse_version(text: str) -> tuple[int, int, int] | None:
    """Return the first x.y.z in `text`, or None."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if not found:
        return None
    major, minor, patch = (int(part or 0) for part in found.groups())
    return major, minor, patch


def _ask_version(tool: Tool, path: Path) -> str:
    try:
        said = subprocess.run(
            [path, *tool.version_arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            # a CLI that phones home for its version must not slow this down
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(
            f"{tool.name}: {path} does not run ({error}): see {tool.variable}"
        ) from None
    version = parse_version(said.stdout + said.stderr)
    if version is None:
        raise ToolError(f"{tool.name}: {path} does not tell its version: see {tool.variable}")
    return ".".join(map(str, version))


def _accept(tool: Tool, path: Path, source: Source) -> Resolved:
    version = _ask_version(tool, path)
    if (parse_version(version) or (0, 0, 0)) < tool.oldest:
        oldest = ".".join(map(str, tool.oldest))
        raise ToolError(
            f"{tool.name} {version} at {path} is too old, {oldest} is needed: "
            f"upgrade it, or set {tool.variable} to another"
        )
    return Resolved(tool.name, path, version, source)


def resolve(name: str, *, install: bool = True, say: Say = say_on_stderr) -> Resolved:
    """Find `name`: `$ROTATION_DRILLS_<NAME>`, then PATH, then the cache, then build it.

    With `install=False` nothing is built: a missing tool comes back as `not built yet`.
    Raises `ToolError` when what was found is too old or does not run, or when a build fails.
    """
    tool = TOOLS[name]
    if given := os.environ.get(tool.variable):
        path = Path(given).expanduser()
        if not os.access(path, os.X_OK) or path.is_dir():
            raise ToolError(f"{tool.variable}={given}: there is no such executable")
        return _accept(tool, path.resolve(), "environment")
    for executable in (tool.executable, *tool.instead):
        if found := shutil.which(executable):
            return _accept(tool, Path(found).resolve(), "PATH")
    program = tool.program
    if program.path.exists():
        return Resolved(name, program.path, tool.pinned, "built")
    if not install:
        return Resolved(name, program.path, tool.pinned, "not built yet")
    say(f"{name} {tool.pinned}: compiling it once (minutes) from its Go module")
    return Resolved(name, build(program, say), tool.pinned, "built")
