"""A Pulumi stack of raw resources, run by the real CLI with the stand-ins as its plugins."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools import environment

_PROJECT = """\
name: rotation-drills
runtime: python
"""
_PROGRAM = '''\
"""Declare what resources.json lists, in its order, by the SDK's own classes."""

import importlib
import json
import pathlib

import pulumi
import pulumi_postgresql
import pulumi_vault
from pulumi.runtime import rpc

wanted = json.loads(pathlib.Path("resources.json").read_text())
providers = {
    "vault": pulumi_vault.Provider("vault", **wanted["vault"]),
    "postgresql": pulumi_postgresql.Provider("postgresql", **wanted["postgresql"]),
}
made = {}


def value(given):
    if isinstance(given, dict):
        if "$ref" in given:
            name, output = given["$ref"]
            resource = made[name]
            return resource.id if output == "id" else getattr(resource, snake(output))
        if "$secret" in given:
            return pulumi.Output.secret(given["$secret"])
        return {key: value(item) for key, item in given.items()}
    return [value(item) for item in given] if isinstance(given, list) else given


def snake(name):
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name)


previous = None
for entry in wanted["resources"]:
    package, module, cls = entry["type"].split(":")
    fqn = rpc._RESOURCE_MODULES[f"{package}:{module}"][0].mod_info["fqn"]
    leaf = snake(module.split("/")[1])
    resource = getattr(importlib.import_module(f"{fqn}.{leaf}"), cls)
    options = pulumi.ResourceOptions(
        provider=providers[package],
        depends_on=[previous] if previous and wanted["chain"] else [],
        **entry.get("options", {}),
    )
    arguments = {snake(key): value(item) for key, item in entry["inputs"].items()}
    previous = made[entry["name"]] = resource(entry["name"], opts=options, **arguments)
'''


@dataclass
class Result:
    """What a command said, and how it ended."""

    exit: int
    text: str

    def ok(self) -> Result:
        """This result; fails with its text when the command failed."""
        assert self.exit == 0, self.text[-4000:]
        return self


@dataclass
class Stack:
    """A workspace with one stack."""

    root: Path
    vault: dict[str, Any]
    postgresql: dict[str, Any]
    resources: list[dict[str, Any]] = field(default_factory=list)
    chain: bool = True

    def __post_init__(self) -> None:
        """Write the project and make the stack."""
        (self.root / "Pulumi.yaml").write_text(_PROJECT)
        (self.root / "__main__.py").write_text(_PROGRAM)
        exports = environment.pulumi_exports(self.root)
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("VAULT_", "PG", "PULUMI"))}
        self.environment = {**kept, **exports, "PULUMI_CONFIG_PASSPHRASE": "made-up"}
        self.environment.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
        self.run("stack", "init", "test").ok()

    def run(self, *arguments: str) -> Result:
        """Run the CLI."""
        self.write()
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.root,
            env=self.environment,
            executable=str(self.root / ".state" / "bin" / "pulumi"),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Result(done.returncode, done.stdout + done.stderr)

    def write(self) -> None:
        """Put down what the program is to declare."""
        wanted = {
            "vault": self.vault,
            "postgresql": self.postgresql,
            "resources": self.resources,
            "chain": self.chain,
        }
        (self.root / "resources.json").write_text(json.dumps(wanted))

    def up(self, *options: str) -> Result:
        """`pulumi up` without a preview."""
        return self.run("up", "--yes", "--skip-preview", *options)

    def export(self, *, secrets: bool = False) -> dict[str, dict[str, Any]]:
        """The recorded resources by name; secret values are `{"secret": true}` unless shown."""
        shown = ["--show-secrets"] if secrets else []
        text = self.run("stack", "export", *shown).ok().text
        resources = json.loads(text)["deployment"].get("resources") or []
        return {
            resource["urn"].rsplit("::", 1)[1]: _blank(resource)
            for resource in resources
            if resource.get("custom") and not resource["type"].startswith("pulumi:")
        }


def _blank(value: Any) -> Any:
    if isinstance(value, dict):
        if "4dabf18193072939515e22adb298388d" in value:
            return {"secret": True} if "ciphertext" in value else json.loads(value["plaintext"])
        return {key: _blank(item) for key, item in value.items()}
    return [_blank(item) for item in value] if isinstance(value, list) else value
