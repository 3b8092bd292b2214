"""`Target`: all that the load knows of a platform: addresses, and how to log in to Vault.

`python -m loadtests.target` writes it, secrets in clear, to a pipe:

    LOADTESTS_TARGET=fd:3 python -m loadtests.service --port 8000 3< <(python -m loadtests.target)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from loadtests.errors import LoadtestError

VARIABLE = "LOADTESTS_TARGET"
SERVICE_VARIABLE = "LOADTESTS_SERVICE"


class TargetError(LoadtestError):
    """Raised when no usable target can be had: the line says where it was looked for, and what
    is wrong with it. Give one by `LOADTESTS_TARGET`, or bring the stack up."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class AppRole(_Part):
    """Log in with a role id and a secret id."""

    method: Literal["approle"] = "approle"
    mount: str = "approle"
    role_id: str
    secret_id: SecretStr


class TokenFile(_Part):
    """Use the token that somebody (a Vault Agent, say) keeps in a file; read at each login."""

    method: Literal["token-file"]
    path: Path


class Jwt(_Part):
    """Log in with a JWT out of a file (a Kubernetes service account's, say)."""

    method: Literal["jwt"]
    mount: str = "jwt"
    role: str
    path: Path


class Postgres(_Part):
    """The database as a service reaches it. Without `ca_pem` the connection is not encrypted."""

    host: str
    port: int = Field(ge=1, le=65535)
    database: str
    table_schema: str = Field(default="orders", pattern=r"^[a-z][a-z0-9_]{0,62}$")
    ca_pem: str | None


class Target(_Part):
    """Where Vault and Postgres are, how to log in, and which dynamic role to take."""

    vault_addresses: list[str] = Field(min_length=1, description="in the order they are tried")
    vault_ca_pem: str | None
    namespace: str | None = None
    auth: Annotated[AppRole | TokenFile | Jwt, Field(discriminator="method")]
    database_mount: str
    role: str
    postgres: Postgres

    @classmethod
    def load(cls) -> Target:
        """Return the target that `LOADTESTS_TARGET` (`fd:N` or a path) or the stack names.

        A descriptor can be read once. Raises `TargetError`.
        """
        given = os.environ.get(VARIABLE)
        if not given:
            return cls._of_stack(_stack_outputs())
        return cls._parse(_read(given), f"{VARIABLE}={given}")

    @classmethod
    def _of_stack(cls, outputs: dict[str, Any]) -> Target:
        try:
            services = {service["name"]: service for service in outputs["services"]}
            wanted = os.environ.get(SERVICE_VARIABLE) or next(iter(services))
            if wanted not in services:
                raise TargetError(
                    f"{SERVICE_VARIABLE}={wanted}: the stack has no such service; "
                    f"it has: {', '.join(services)}"
                )
            service, vault, postgres = services[wanted], outputs["vault"], outputs["postgres"]
            found = {
                "vault_addresses": [node["proxied_address"] for node in vault["nodes"]],
                "vault_ca_pem": vault["ca_pem"],
                "auth": {"method": "approle", **service["auth"]},
                "database_mount": vault["database_mount"],
                "role": service["role"],
                "postgres": {
                    "host": postgres["proxied_host"],
                    "port": postgres["proxied_port"],
                    "database": service.get("database") or postgres["database"],
                    "table_schema": service["name"],
                    "ca_pem": postgres["ca_pem"],
                },
            }
        except (KeyError, TypeError, AttributeError, StopIteration) as error:
            raise TargetError(
                f"the stack's outputs lack {error}: bring it up with `pulumi up`"
            ) from None
        return cls._parse(json.dumps(found), "the stack's outputs")

    @classmethod
    def _parse(cls, text: str, source: str) -> Target:
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the JSON"
            raise TargetError(f"{source}: {where}: {first['msg']}") from None

    def reveal(self) -> str:
        """Return the JSON that `load` reads, secrets in clear: for a pipe, never for a file."""
        found = self.model_dump(mode="json")
        if isinstance(self.auth, AppRole):
            found["auth"]["secret_id"] = self.auth.secret_id.get_secret_value()
        return json.dumps(found)


def _read(given: str) -> str:
    try:
        if given.startswith("fd:"):
            with os.fdopen(int(given[3:]), encoding="utf-8") as pipe:
                return pipe.read()
        return Path(given).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise TargetError(
            f"{VARIABLE}={given}: {getattr(error, 'strerror', None) or error}: "
            "give fd:N or the path of a JSON file"
        ) from None


def _stack_outputs() -> dict[str, Any]:
    command = ["pulumi", "stack", "output", "--json", "--show-secrets"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetError(
            f"pulumi does not run ({type(error).__name__}): set {VARIABLE}, or see `drill env`"
        ) from None
    if said.returncode != 0:
        lines = said.stderr.strip().splitlines() or ["no reason given"]
        raise TargetError(
            f"`pulumi stack output` failed ({lines[0]}): set {VARIABLE}, or select a stack"
        )
    try:
        outputs: dict[str, Any] = json.loads(said.stdout)
    except ValueError:
        raise TargetError("`pulumi stack output --json` printed no JSON: upgrade pulumi") from None
    return outputs


def main() -> int:
    """Write the target for another process. Returns 2, with a line on stderr, when there is none,
    or when a terminal would show its secrets."""
    if sys.stdout.isatty():
        sys.stderr.write("loadtests.target: this holds secrets: send it to a pipe\n")
        return 2
    try:
        sys.stdout.write(Target.load().reveal() + "\n")
    except LoadtestError as error:
        sys.stderr.write(f"loadtests.target: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
