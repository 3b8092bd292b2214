"""`{locustfile: path, users: 40}`: a locust file of your own, as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from pydantic import model_validator

from drills.errors import SetupError
from drills.loads.base import Load
from drills.loads.url import Url
from drills.parts import Line, Positive

_SECONDS = 60.0
_HEADING = "Available Users:"


class LocustfileLoad(Load):
    """`users` users of the classes in `locustfile`, against `host` where the file names none.

    The path is relative to the folder in which `drill` is called.
    """

    key: ClassVar[str] = "locustfile"
    foreign: ClassVar[bool] = True

    locustfile: Line
    users: Positive
    host: Url | None = None

    @model_validator(mode="after")
    def _one_file(self) -> LocustfileLoad:
        if "," in self.locustfile:  # locust takes it for two files
            raise ValueError(f"one file is wanted, without a comma in its path: {self.locustfile}")
        return self

    def client(self, pool: str) -> str:
        """Whatever pool the service has, the drill does not know it."""
        return "its own (locustfile)"

    def words(self, pool: str) -> str:
        """Return the load in a few words."""
        return f"{self.users} users of {Path(self.locustfile).name}"

    def check(self) -> None:
        """Let locust read the file and list its users. Raises `SetupError`.

        That imports the file, as the load itself does.
        """
        path = Path(self.locustfile)
        if not path.is_file():
            raise SetupError(f"load.locustfile: {path}: there is no such file")
        try:
            done = subprocess.run(
                [sys.executable, "-m", "locust", "-f", str(path), "--list"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise SetupError(
                f"load.locustfile: {path}: locust has not read it within {_SECONDS:g} s"
            ) from None
        if done.returncode != 0:
            said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            words = said[-1].strip() if said else f"locust ended with status {done.returncode}"
            raise SetupError(f"load.locustfile: {path}: {words}")
        _, _, users = done.stdout.partition(_HEADING)
        if not users.strip():
            raise SetupError(
                f"load.locustfile: {path}: it has no User class, so nobody would send a request"
            )
