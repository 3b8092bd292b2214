"""What the installed SDK says of a resource type: property names, types, required, secret.

Nothing of this is written down a second time here, so a newer SDK brings its own properties along.
Only the module of the type that is asked for is imported.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import json
import textwrap
import types
import typing
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin


class UnknownTypeError(LookupError):
    """The SDK has no such resource type: a wrong token, or an SDK older than the program."""


@dataclass(frozen=True)
class Scalar:
    """A string, an integer, a number or a boolean."""

    kind: Literal["string", "integer", "number", "boolean"]


@dataclass(frozen=True)
class ListOf:
    """A list (a set is one too: whether the order counts is not the SDK's knowledge)."""

    element: Type


@dataclass(frozen=True)
class MapOf:
    """A map with free keys."""

    element: Type


@dataclass(frozen=True)
class Object:
    """An object with named fields."""

    fields: Mapping[str, Type]
    required: frozenset[str]


@dataclass(frozen=True)
class Anything:
    """A type that the SDK leaves open."""


Type = Scalar | ListOf | MapOf | Object | Anything


@dataclass(frozen=True)
class Schema:
    """A resource type as the SDK declares it; `secrets` are its additional secret outputs."""

    token: str
    inputs: Mapping[str, Type]
    required: frozenset[str]
    outputs: Mapping[str, Type]
    secrets: frozenset[str]

    @property
    def autonamed(self) -> bool:
        """Whether the bridge makes a name when there is none: an optional string called name."""
        return self.inputs.get("name") == Scalar("string") and "name" not in self.required


_SCALARS: dict[Any, Scalar] = {
    str: Scalar("string"),
    int: Scalar("integer"),
    float: Scalar("number"),
    bool: Scalar("boolean"),
}


def plugin_version(package: str) -> str:
    """The version of the published plugin that the SDK package asks for.

    The package is looked up, not imported. Raises ModuleNotFoundError when it is not installed.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed", name=package)
    described = Path(found.origin).with_name("pulumi-plugin.json").read_text(encoding="utf-8")
    return str(json.loads(described)["version"])


@cache
def schema(token: str) -> Schema:
    """Derive the schema of a resource type; raises UnknownTypeError."""
    module = _module(token)
    name = token.rsplit(":", 1)[1]
    resource: type = getattr(module, name)
    arguments: type = getattr(module, f"{name}Args")
    inputs, required = _fields(arguments)
    return Schema(token, inputs, required, _outputs(resource), _secrets(resource))


def provider_config(package: str) -> Mapping[str, Type]:
    """The configuration of the provider itself."""
    return _fields(importlib.import_module(f"{package}.provider").ProviderArgs)[0]


def _module(token: str) -> types.ModuleType:
    from pulumi.runtime import rpc  # noqa: PLC0415 costs half a second, and the tests import this

    try:
        package, module, _ = token.split(":")
        importlib.import_module(f"pulumi_{package}")
        registered: Any = rpc._RESOURCE_MODULES[f"{package}:{module}"]
        fqn = registered[0].mod_info["fqn"]
        leaf = "".join(f"_{c.lower()}" if c.isupper() else c for c in module.split("/")[1])
        return importlib.import_module(f"{fqn}.{leaf}")
    except (ImportError, KeyError, ValueError, IndexError) as error:
        raise UnknownTypeError(f"{token}: the installed SDK has no such resource type") from error


def _fields(arguments: type) -> tuple[dict[str, Type], frozenset[str]]:
    from pulumi import _types  # noqa: PLC0415 see above

    names = _types.input_type_py_to_pulumi_names(arguments)
    declared = _types.input_type_types(arguments)
    parameters = inspect.signature(arguments.__init__).parameters  # type: ignore[misc]
    required = frozenset(
        pulumi_name
        for python_name, pulumi_name in names.items()
        if parameters[python_name].default is inspect.Parameter.empty
    )
    return {name: _type(declared[name]) for name in names.values()}, required


def _outputs(resource: type) -> dict[str, Type]:
    from pulumi import _types  # noqa: PLC0415 see above

    declared = _types.resource_types(resource)
    return {name: _type(hint) for name, hint in declared.items() if name not in {"id", "urn"}}


def _secrets(resource: type) -> frozenset[str]:
    source = textwrap.dedent(inspect.getsource(resource.__dict__["_internal_init"]))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg == "additional_secret_outputs":
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


def _type(hint: Any) -> Type:  # noqa: PLR0911 one return a kind of hint
    from pulumi import Output, _types  # noqa: PLC0415 see above

    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        members = [
            member
            for member in arguments
            if member is not types.NoneType
            and not typing.is_typeddict(member)
            and get_origin(member) not in {Awaitable, Output, _AWAITABLE}
        ]
        return _type(members[0]) if members else Anything()
    if origin is Output or origin in {Awaitable, _AWAITABLE}:
        return _type(arguments[0])
    if hint in _SCALARS:
        return _SCALARS[hint]
    if origin in {Sequence, list}:
        return ListOf(_type(arguments[0]))
    if origin in {Mapping, dict}:
        return MapOf(_type(arguments[1]))
    if isinstance(hint, type) and _types.is_input_type(hint):
        return Object(*_fields(hint))
    if isinstance(hint, type) and _types.is_output_type(hint):
        fields = {n: _type(h) for n, h in _types.output_type_types(hint).items()}
        return Object(fields, frozenset())
    return Anything()


_AWAITABLE = get_origin(typing.Awaitable[int])
