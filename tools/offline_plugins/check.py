"""Check: the program's inputs against the schema, strictly, and the bridge's defaults."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools.offline_plugins.sdk import Anything, ListOf, MapOf, Object, Scalar, Schema, Type
from tools.offline_plugins.spec import Spec
from tools.offline_plugins.wire import (
    DEFAULTS,
    META,
    UNKNOWN,
    Bag,
    Path,
    dotted,
    without_internals,
)

_JSON_NAMES = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}
_NAME_DIGITS = 7


@dataclass(frozen=True)
class Failure:
    """One reason why the inputs are refused; it names the property, never its value."""

    property: str
    reason: str


@dataclass(frozen=True)
class Naming:
    """How the engine wants a missing name to be made."""

    logical_name: str = ""
    seed: bytes = b""
    proposed: str = ""
    disabled: bool = False


def check(
    schema: Schema, spec: Spec, news: Bag, olds: Bag, naming: Naming
) -> tuple[Bag, list[Failure]]:
    """Convert the inputs and fill in defaults. With any failure the inputs are not to be used."""
    failures: list[Failure] = []
    allowed = {n: t for n, t in schema.inputs.items() if n not in spec.absent}
    required = (schema.required | spec.required) - spec.absent
    kind = Object(allowed, required - ({"name"} if schema.autonamed else frozenset()))
    values = _object(kind, without_internals(news.values), (), spec, failures)
    named = []
    if schema.autonamed and values.get("name") is None:
        if naming.disabled:
            failures.append(Failure("name", "missing: automatic naming is off for this stack"))
        else:
            values["name"] = _name(olds, naming)
            named = ["name"]
    values[DEFAULTS] = sorted([*values.get(DEFAULTS, []), *named])
    checked = Bag(values, set(news.secrets))
    for path in [*schema.secrets, *spec.secrets, *spec.write_only]:
        parts: Path = tuple(path.split("."))
        if _at(values, parts) is not None:
            checked.secrets.add(parts)
    return checked, failures


def convert_config(config: Mapping[str, Type], values: Mapping[str, Any]) -> dict[str, Any]:
    """Provider configuration: what is not a string arrives as JSON text.

    Raises ValueError that names the property.
    """
    converted: dict[str, Any] = {}
    failures: list[Failure] = []
    nothing = Spec(resource="")
    for name, value in values.items():
        kind = config.get(name)
        if kind is None or value is None:
            continue
        plain = value
        if isinstance(value, str) and kind != Scalar("string"):
            try:
                plain = json.loads(value)
            except ValueError:
                plain = value
        converted[name] = _value(kind, plain, (name,), nothing, failures)
    if failures:
        raise ValueError(f"provider: {failures[0].property}: {failures[0].reason}")
    return converted


def _object(
    kind: Object, values: Mapping[str, Any], path: Path, spec: Spec, failures: list[Failure]
) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    for name, value in values.items():
        here = (*path, name)
        if name in {DEFAULTS, META}:
            continue
        if name not in kind.fields:
            failures.append(Failure(dotted(here), "no such property"))
        elif value is not None:
            converted[name] = _value(kind.fields[name], value, here, spec, failures)
    filled = []
    prefix = "".join(f"{part}." for part in path if isinstance(part, str))
    for name in kind.fields:
        default = spec.defaults.get(prefix + name)
        if default is not None and name not in converted:
            converted[name] = default
            filled.append(name)
    failures.extend(
        Failure(dotted((*path, name)), "missing: this property is required")
        for name in sorted(kind.required)
        if name not in converted
    )
    converted[DEFAULTS] = sorted(filled)
    return converted


def _value(kind: Type, value: Any, path: Path, spec: Spec, failures: list[Failure]) -> Any:
    if value is UNKNOWN or isinstance(kind, Anything):
        return value
    if isinstance(kind, Scalar):
        return _scalar(kind, value, path, spec, failures)
    if isinstance(kind, ListOf) and isinstance(value, list):
        return [
            _value(kind.element, item, (*path, index), spec, failures)
            for index, item in enumerate(value)
        ]
    if isinstance(kind, MapOf) and isinstance(value, Mapping):
        return {
            name: _value(kind.element, item, (*path, name), spec, failures)
            for name, item in value.items()
            if name not in {DEFAULTS, META}
        }
    if isinstance(kind, Object) and isinstance(value, Mapping):
        return _object(kind, value, path, spec, failures)
    wanted = "a list" if isinstance(kind, ListOf) else "an object"
    failures.append(Failure(dotted(path), f"{wanted} is wanted, not {_called(value)}"))
    return value


def _scalar(kind: Scalar, value: Any, path: Path, spec: Spec, failures: list[Failure]) -> Any:
    try:
        converted = _convert(kind.kind, value)
    except ValueError:
        article = "an" if kind.kind == "integer" else "a"
        failures.append(
            Failure(dotted(path), f"{article} {kind.kind} is wanted, not {_called(value)}")
        )
        return value
    name = ".".join(part for part in path if isinstance(part, str))
    choices = spec.choices.get(name)
    if choices and converted not in choices:
        failures.append(Failure(dotted(path), f"one of {', '.join(choices)} is wanted"))
    if spec.compare.get(name) == "json" and converted:
        try:
            json.loads(converted)
        except ValueError:
            failures.append(Failure(dotted(path), "JSON is wanted"))
    return converted


def _convert(kind: str, value: Any) -> Any:
    """As the bridge does: scalars are converted where the text says what is meant."""
    if isinstance(value, list | Mapping):
        raise ValueError(kind)  # noqa: TRY004 one kind of refusal for the caller
    if kind == "string":
        if isinstance(value, bool):
            return "true" if value else "false"
        return value if isinstance(value, str) else f"{value:g}" if value % 1 else f"{value:.0f}"
    if kind == "boolean":
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
        raise ValueError(kind)
    if isinstance(value, bool):
        raise ValueError(kind)  # noqa: TRY004 as above
    number = float(value)
    if kind == "integer":
        if not number.is_integer():
            raise ValueError(kind)
        return int(number)
    return int(number) if number.is_integer() else number


def _called(value: Any) -> str:
    return _JSON_NAMES.get(type(value), "that")


def _at(values: Any, path: Path) -> Any:
    for part in path:
        if not isinstance(values, Mapping):
            return None
        values = values.get(part)
    return values


def _name(olds: Bag, naming: Naming) -> str:
    old = olds.values.get("name")
    made_by_us = olds.values.get(DEFAULTS)
    if isinstance(old, str) and (made_by_us is None or "name" in made_by_us):
        return old
    if naming.proposed:
        return naming.proposed
    seed = naming.seed or naming.logical_name.encode()
    return f"{naming.logical_name}-{hashlib.sha256(seed).hexdigest()[:_NAME_DIGITS]}"
