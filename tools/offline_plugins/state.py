"""Outputs in the published plugins' shape; the inputs that a refresh or an import hands back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.offline_plugins.diff import equal
from tools.offline_plugins.sdk import ListOf, MapOf, Object, Scalar, Schema, Type
from tools.offline_plugins.spec import Spec, is_zero
from tools.offline_plugins.wire import DEFAULTS, META, UNKNOWN, Path, without_internals


def shape(schema: Schema, spec: Spec, identifier: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Every output of the type, coerced to its declared type; sets in order; the id among them."""
    outputs: dict[str, Any] = {} if spec.omits_id else {"id": identifier}
    if META in raw:
        outputs[META] = raw[META]
    for name, kind in schema.outputs.items():
        if name in spec.absent:
            continue
        value = None if name in spec.write_only else coerce(kind, raw.get(name), (name,), spec)
        if value is None and spec.omits_nulls:
            continue
        outputs[name] = value
    return outputs


def coerce(kind: Type, value: Any, path: Path = (), spec: Spec | None = None) -> Any:  # noqa: PLR0911 one return a kind of type
    """A value in its declared type: Vault answers numbers as text and text as numbers."""
    if value is None or value is UNKNOWN:
        return value
    if isinstance(kind, Scalar):
        return _coerce_scalar(kind.kind, value)
    if isinstance(kind, ListOf):
        items = value if isinstance(value, list) else [v for v in str(value).split(",") if v]
        items = [coerce(kind.element, item, path, spec) for item in items]
        name = ".".join(str(part) for part in path)
        if spec is not None and spec.compare.get(name) == "set" and UNKNOWN not in items:
            return sorted(items, key=str)
        return items
    if isinstance(kind, MapOf) and isinstance(value, Mapping):
        return {
            name: coerce(kind.element, item) for name, item in value.items() if name != DEFAULTS
        }
    if isinstance(kind, Object) and isinstance(value, Mapping):
        return {
            name: None
            if spec is not None and ".".join(map(str, (*path, name))) in spec.write_only
            else coerce(inner, value.get(name), (*path, name), spec)
            for name, inner in kind.fields.items()
        }
    return value


def _coerce_scalar(kind: str, value: Any) -> Any:
    if kind == "string":
        if isinstance(value, bool):
            return "true" if value else "false"
        return value if isinstance(value, str) else str(value)
    if kind == "boolean":
        return value if isinstance(value, bool) else str(value).lower() in {"true", "1"}
    if isinstance(value, str):
        value = float(value or 0)
    return int(value) if kind == "integer" or float(value).is_integer() else value


def preview_of_create(schema: Schema, spec: Spec, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What is known before the resource is there: its inputs; the rest waits."""
    plain = without_internals(dict(inputs))
    outputs: dict[str, Any] = {"id": UNKNOWN}
    for name in schema.outputs:
        if name in spec.absent:
            continue
        if name in spec.write_only:
            outputs[name] = None
        elif name in plain:
            outputs[name] = plain[name]
        elif name in spec.computed or name not in schema.inputs:
            outputs[name] = UNKNOWN
        else:
            outputs[name] = None
    return outputs


def preview_of_update(
    schema: Schema, spec: Spec, olds: Mapping[str, Any], news: Mapping[str, Any]
) -> dict[str, Any]:
    """The recorded outputs with the new inputs laid over them."""
    plain = without_internals(dict(news))
    outputs = dict(olds)
    for name in schema.inputs:
        if name in spec.absent or name in spec.write_only or name not in schema.outputs:
            continue
        if name in plain:
            outputs[name] = plain[name]
        elif name not in spec.computed and not is_zero(olds.get(name)):
            outputs[name] = None
    return outputs


def refreshed_inputs(
    schema: Schema, spec: Spec, old_inputs: Mapping[str, Any], outputs: Mapping[str, Any]
) -> dict[str, Any]:
    """The inputs after a refresh: those the program gave, with what the server now says of them."""
    kinds = {name: kind for name, kind in schema.inputs.items() if name not in spec.absent}
    return _refreshed(spec, Object(kinds, frozenset()), old_inputs, outputs, ())


def _refreshed(
    spec: Spec, kind: Object, olds: Mapping[str, Any], outputs: Mapping[str, Any], path: Path
) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    filled = list(olds.get(DEFAULTS) or [])
    for field, old in olds.items():
        if field == DEFAULTS:
            continue
        name = ".".join(str(part) for part in (*path, field))
        inner, new = kind.fields.get(field), outputs.get(field)
        if inner is None or name in spec.write_only or (is_zero(old) and is_zero(new)):
            inputs[field] = old
        elif isinstance(inner, Object) and isinstance(old, Mapping) and isinstance(new, Mapping):
            inputs[field] = _refreshed(spec, inner, old, new, (*path, field))
        elif new is not None and equal(spec, name, inner, new, without_internals(old)):
            inputs[field] = old
        elif new is not None:
            inputs[field] = new
        if inputs.get(field) != old and field in filled:
            filled.remove(field)
    if DEFAULTS in olds:
        inputs[DEFAULTS] = filled
    return inputs


def imported_inputs(schema: Schema, spec: Spec, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that a program would have to give for what is there."""
    kinds = {name: kind for name, kind in schema.inputs.items() if name not in spec.absent}
    return _imported(spec, Object(kinds, schema.required), outputs, ())


def _imported(spec: Spec, kind: Object, outputs: Mapping[str, Any], path: Path) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    filled = []
    for field, inner in kind.fields.items():
        name = ".".join(str(part) for part in (*path, field))
        value = outputs.get(field)
        if name in spec.write_only or value is None:
            continue
        if is_zero(value) and field not in kind.required:
            continue
        if isinstance(inner, Object) and isinstance(value, Mapping):
            value = _imported(spec, inner, value, (*path, field))
        elif spec.defaults.get(name) == value:
            filled.append(field)
        inputs[field] = value
    inputs[DEFAULTS] = sorted(filled)
    return inputs
