"""The common shape of dynamic resources that stand for running servers.

`refresh` looks whether the server runs and `up` starts it again: what is not running is a
difference, also without a refresh before.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

from infra.cluster.process import taken_ports
from tools.errors import ToolError


class ServerProvider(ResourceProvider):
    """Template of a server's life. `replace_on` are inputs that need a new server; `update_on`
    those that the running one takes over; `files` says whether its files are still there.

    A creation that fails takes back what it had started.
    """

    replace_on: tuple[str, ...] = ("state_dir",)
    update_on: tuple[str, ...] = ()
    key = "basePort"

    @abstractmethod
    def find_programs(self) -> None:
        """Find the programs that it runs; raises `ToolError`."""

    @abstractmethod
    def ports(self, props: dict[str, Any]) -> list[int]:
        """Return the ports it listens on."""

    @abstractmethod
    def provision(self, props: dict[str, Any]) -> dict[str, Any]:
        """Make it from nothing and start it; return what was computed."""

    @abstractmethod
    def ailments(self, props: dict[str, Any]) -> list[str]:
        """Return what is wrong with it now (`node vault-2 is not running`), nothing if well."""

    @abstractmethod
    def exists(self, props: dict[str, Any]) -> bool:
        """Return whether its files are there, running or not."""

    @abstractmethod
    def mend(self, props: dict[str, Any]) -> dict[str, Any]:
        """Start what is not running and apply `update_on`; return what was computed anew."""

    @abstractmethod
    def remove(self, props: dict[str, Any]) -> None:
        """Stop it and delete its files. Can be repeated."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse a first creation without its programs, or on ports that another process has."""
        failures = []
        if not _olds and not self.exists(news):
            try:
                self.find_programs()
            except ToolError as error:
                failures.append(CheckFailure("driver", str(error)))
            failures += [
                CheckFailure(
                    self.key,
                    f"port {port} on 127.0.0.1 is taken by another process: end that, or set "
                    f"rotation-drills:{self.key} in Pulumi.<stack>.yaml to a free range",
                )
                for port in taken_ports(self.ports(news))
            ]
        return CheckResult(news, failures)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make it anew, over whatever an interrupted creation left."""
        self.remove(props)
        try:
            computed = self.provision(props)
        except BaseException:
            self.remove(props)
            raise
        return CreateResult(
            f"{props['state_dir']}#{self.kind}", {**props, **computed, "ailments": []}
        )

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return the recorded state with what ails it now; gone when its files are."""
        if not self.exists(props):
            return ReadResult(None, {})
        return ReadResult(id_, {**props, "ailments": self.ailments(props)})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Compare the inputs, and look at the server itself."""
        replaces = [key for key in self.replace_on if _olds.get(key) != _news.get(key)]
        if not replaces and not self.exists(_olds):
            replaces = ["state_dir"]
        changed = [key for key in self.update_on if _olds.get(key) != _news.get(key)]
        ill = not replaces and bool(_olds.get("ailments") or self.ailments(_olds))
        return DiffResult(
            changes=bool(replaces or changed or ill),
            replaces=replaces,
            delete_before_replace=True,
        )

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Start again what is down, with the new inputs."""
        props = {**_olds, **{key: value for key, value in _news.items() if value is not None}}
        return UpdateResult({**props, **self.mend(props), "ailments": []})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Leave no process and no file."""
        self.remove(_props)

    @property
    def kind(self) -> str:
        """What the resource's id ends in."""
        return type(self).__name__.lstrip("_").lower()
