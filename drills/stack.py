"""Reads a stack's outputs into `Platform`, by the real `pulumi stack output`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from pydantic import ValidationError

from drills.errors import SetupError
from infra.platform import Platform
from tools.environment import pulumi_environment


def load_platform(stack: str, root: Path) -> Platform:
    """Return the outputs of `stack`; raise `SetupError` when it is not up or is another shape."""
    told = subprocess.run(
        ["pulumi", "stack", "output", "--json", "--show-secrets", "--stack", stack],
        cwd=root,
        env=pulumi_environment(root),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        reason = (told.stderr.strip().splitlines() or ["no reason given"])[0]
        raise SetupError(
            f"stack {stack}: {reason}: bring it up with `pulumi up --stack {stack}` (or `make up`)"
        )
    outputs = json.loads(told.stdout or "{}")
    if not outputs:
        raise SetupError(
            f"stack {stack} is not up (it has no outputs): run `pulumi up --stack {stack}` "
            "(or `make up`)"
        )
    try:
        return Platform.model_validate(outputs)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SetupError(
            f"stack {stack}: output {where}: {first['msg']}: run `pulumi up --stack {stack}`"
        ) from None


def export_state(stack: str, root: Path) -> str:
    """Return the stack's state as Pulumi would hand it on, its secrets encrypted; it is in memory
    only. Raises `SetupError` when there is none."""
    told = subprocess.run(
        ["pulumi", "stack", "export", "--stack", stack],
        cwd=root,
        env=pulumi_environment(root),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode or not told.stdout:
        reason = (told.stderr.strip().splitlines() or ["no reason given"])[0]
        raise SetupError(f"stack {stack}: {reason}")
    return told.stdout
