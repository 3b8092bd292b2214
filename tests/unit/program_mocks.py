"""The Pulumi program under mocks: what it declares, without any server."""

from __future__ import annotations

import asyncio
import json
import runpy
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi.runtime import mocks
from pulumi.runtime.stack import run_pulumi_func

ROOT = Path(__file__).parents[2]


class Recorder(mocks.Mocks):
    """Notes every resource, and computes what the real ones would."""

    def __init__(self) -> None:
        self.resources: list[mocks.MockResourceArgs] = []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.resources.append(args)
        computed: dict[str, Any] = {}
        match args.typ:
            case "pulumi-python:dynamic/tls:CertificateAuthority":
                pair = {"certificate": "C", "key": "K"}
                computed = {
                    "ca_pem": "CA",
                    "certificates": dict.fromkeys(args.inputs["names"], pair),
                }
            case "pulumi-python:dynamic/vault:VaultServers":
                computed = {"unseal_keys": ["u1", "u2", "u3"], "provisioner_token": "p"}
            case "pulumi-python:dynamic/password:Password":
                computed = {"value": f"made-up-{args.name}"}
            case "pulumi-python:dynamic/postgres:PostgresServer":
                computed = {"password": "made-up"}
            case "vault:index/authBackend:AuthBackend":
                computed = {"accessor": f"accessor-of-{args.name}"}
            case "vault:index/token:Token":
                computed = {"clientToken": "made-up-operator-token"}
            case "vault:appRole/authBackendRole:AuthBackendRole":
                computed = {"roleId": "role-id"}
            case "vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId":
                computed = {"secretId": "made-up-secret-id"}
        return f"{args.name}-id", {**args.inputs, **computed}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        raise AssertionError(f"the program calls no function, but asked for {args.token}")

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The inputs of all resources of one type, by name."""
        return {each.name: each.inputs for each in self.resources if each.typ == kind}


def stack_config(stack: str) -> dict[str, str]:
    """A committed stack's configuration, as Pulumi hands it to the program."""
    raw = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return {
        key: value if isinstance(value, str) else json.dumps(value, default=str)
        for key, value in raw.items()
    }


def run_program(config: dict[str, str], stack: str = "dev") -> tuple[Recorder, dict[str, Any]]:
    """What the program declares, and its outputs as (value, whether it is secret)."""
    recorder = Recorder()
    outputs: dict[str, Any] = {}
    asyncio.set_event_loop(asyncio.new_event_loop())
    mocks.set_mocks(recorder, project="rotation-drills", stack=stack)
    pulumi.runtime.set_all_config(config)
    original = pulumi.export
    setattr(pulumi, "export", outputs.__setitem__)  # noqa: B010 - mypy forbids the assignment

    def program() -> None:
        runpy.run_module("infra", run_name="__main__")

    try:
        loop = asyncio.get_event_loop()
        loop.run_until_complete(run_pulumi_func(program))
        for name, value in outputs.items():
            resolved = pulumi.Output.from_input(value)
            outputs[name] = (
                loop.run_until_complete(resolved.future()),
                loop.run_until_complete(resolved.is_secret()),
            )
    finally:
        setattr(pulumi, "export", original)  # noqa: B010 - as above
    return recorder, outputs
