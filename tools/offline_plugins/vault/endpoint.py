"""A resource type that is one path in Vault's API, described by its data alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.offline_plugins import sdk
from tools.offline_plugins.spec import Spec, is_zero, snake, zero
from tools.offline_plugins.vault.client import Client

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class Endpoint(Spec):
    """Where a type lives and how its properties travel.

    `path` and `identifier` (the path, unless given) are templates over the inputs. A property is
    sent and read under its name in snake case, unless `rename` says otherwise. `unsent` ones are
    never sent. `kept` ones are never read back: they stay as given, or take the value here.
    `nullable` ones are null, not empty, when Vault has none. `on_delete` is written where deleting
    means resetting; a type that is not `removable` is only forgotten, as the published plugin does.
    """

    path: str
    identifier: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)
    unsent: frozenset[str] = frozenset()
    kept: Mapping[str, Any] = field(default_factory=dict)
    nullable: frozenset[str] = frozenset()
    on_delete: Mapping[str, Any] | None = None
    removable: bool = True
    kind: type[EndpointKind] | None = None

    def bind(self, client: Callable[[], Client]) -> EndpointKind:
        """The type on a Vault."""
        return (self.kind or EndpointKind)(self, client)

    def field(self, name: str) -> str:
        """The API's name of a property."""
        return self.rename.get(name, snake(name))


def fill(template: str, values: Mapping[str, Any]) -> str:
    """A path from a template; slashes at the ends of a part don't count."""
    return _PLACEHOLDER.sub(lambda match: str(values.get(match[1]) or "").strip("/"), template)


def unfill(template: str, text: str) -> dict[str, str] | None:
    """The parts that a path was made of; None when it isn't of that form."""
    pieces = _PLACEHOLDER.split(template)
    pattern = "".join(
        f"(?P<{piece}>.+)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces)
    )
    match = re.fullmatch(pattern, text)
    return None if match is None else match.groupdict()


class EndpointKind:
    """Create, read, update, delete on one path. A type that differs overrides the one step."""

    def __init__(self, spec: Endpoint, client: Callable[[], Client]) -> None:
        self.spec = spec
        self._client = client
        self.schema = sdk.schema(spec.resource)

    @property
    def client(self) -> Client:
        """The configured client; raises ResourceError while there is none."""
        return self._client()

    def create(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Write the path and read it back; raises ResourceError."""
        answer = self.write(self.path(inputs), self.body(inputs), inputs) or {}
        identifier = self.identify(inputs, answer)
        return identifier, self.known(identifier, inputs)

    def read(self, identifier: str, olds: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """What Vault has now; None when it has nothing."""
        state = self.gather(identifier, olds or self.imported(identifier))
        return None if state is None else (identifier, state)

    def update(self, identifier: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        """Write what is wanted, and empty values for what is wanted no more."""
        self.write(self.path({**self.parts(identifier), **news}), self.body(news, olds), news)
        return self.known(identifier, news)

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """Delete the path, reset it, or leave it alone."""
        if not self.spec.removable:
            return
        path = self.path({**self.parts(identifier), **olds})
        if self.spec.on_delete is None:
            self.client.delete(path, namespace=olds.get("namespace"))
        else:
            self.write(path, self.spec.on_delete, olds)

    # The steps that a type can override.
    def path(self, values: Mapping[str, Any]) -> str:
        """Where these inputs live."""
        return fill(self.spec.path, values)

    def identify(self, inputs: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
        """The id of what has just been written."""
        del answer
        return fill(self.spec.identifier or self.spec.path, inputs)

    def parts(self, identifier: str) -> dict[str, Any]:
        """The inputs that an id holds."""
        return dict(unfill(self.spec.identifier or self.spec.path, identifier) or {})

    def imported(self, identifier: str) -> dict[str, Any]:
        """What is taken as given when there is only an id."""
        top = {name: value for name, value in self.spec.defaults.items() if "." not in name}
        return {**top, **self.parts(identifier)}

    def body(
        self, inputs: Mapping[str, Any], olds: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What is sent. With `olds`, write-only values go only when their version has changed."""
        unsent = self.spec.unsent | set(_PLACEHOLDER.findall(self.spec.path)) | {"namespace"}
        body: dict[str, Any] = {}
        for name, kind in self.schema.inputs.items():
            if name in unsent or name in self.spec.absent:
                continue
            if name in self.spec.write_only:
                version = f"{name}Version"
                if name in inputs and (olds is None or olds.get(version) != inputs.get(version)):
                    body[self.spec.field(name)] = inputs[name]
            elif name in inputs:
                body[self.spec.field(name)] = inputs[name]
            elif olds and name not in self.spec.computed and not is_zero(olds.get(name)):
                body[self.spec.field(name)] = zero(kind)
        return body

    def write(
        self, path: str, body: Mapping[str, Any], values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write in the resource's namespace."""
        return self.client.write(path, body, namespace=values.get("namespace"))

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The API's fields; None when there is nothing."""
        path = self.path({**known, **self.parts(identifier)})
        answer = self.client.get(path, namespace=known.get("namespace"))
        return None if answer is None else answer.get("data") or {}

    def gather(self, identifier: str, known: Mapping[str, Any]) -> dict[str, Any] | None:
        """The state: what Vault says, and what only the inputs say."""
        data = self.fetch(identifier, known)
        if data is None:
            return None
        parts = self.parts(identifier)
        state: dict[str, Any] = {}
        for name, kind in self.schema.outputs.items():
            if name in parts:
                state[name] = parts[name]
            elif name in self.spec.kept or name == "namespace":
                state[name] = known.get(name, self.spec.kept.get(name))
            else:
                value = data.get(self.spec.field(name))
                empty = None if name in self.spec.nullable else zero(kind)
                state[name] = empty if value is None or self._nothing(name, value) else value
        return state

    def known(self, identifier: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The state just after a write; raises ResourceError when it isn't there."""
        state = self.gather(identifier, inputs)
        if state is None:
            from tools.offline_plugins.server import ResourceError  # noqa: PLC0415 no cycle

            raise ResourceError(f"{self.spec.resource} {identifier}: written, but not there")
        return state

    def _nothing(self, name: str, value: Any) -> bool:
        return name in self.spec.nullable and is_zero(value)
