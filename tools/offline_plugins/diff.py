"""Diff: new inputs against the recorded outputs, property by property.

The outputs are the yardstick, not the old inputs: after a refresh they hold what the server says,
so a change made by hand shows. A property that the program leaves out counts as empty, unless it is
computed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tools.offline_plugins.sdk import ListOf, MapOf, Object, Scalar, Schema, Type
from tools.offline_plugins.spec import Spec, is_zero
from tools.offline_plugins.wire import UNKNOWN, Path, dotted, has_unknown, without_internals

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Change:
    """One property that differs, and whether that needs another resource."""

    path: Path
    kind: Literal["add", "delete", "update"]
    replaces: bool

    @property
    def name(self) -> str:
        """The path as Pulumi writes it."""
        return dotted(self.path)


def diff(
    schema: Schema,
    spec: Spec,
    olds: Mapping[str, Any],
    news: Mapping[str, Any],
    ignored: Iterable[str] = (),
) -> list[Change]:
    """The changes between recorded outputs and new inputs."""
    old_values, new_values = without_internals(dict(olds)), without_internals(dict(news))
    changes: list[Change] = []
    for name, kind in schema.inputs.items():
        if name not in spec.absent:
            _compare(spec, kind, old_values.get(name), new_values.get(name), (name,), changes)
    return [c for c in changes if not any(_covers(pattern, c.path) for pattern in ignored)]


def keeps_name(schema: Schema, olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """Whether a replacement would bear the old one's name, so that the old one has to go first."""
    if not schema.autonamed or "name" in (news.get("__defaults") or []):
        return False
    return bool(olds.get("name")) and olds.get("name") == news.get("name")


def equal(spec: Spec, name: str, kind: Type, old: Any, new: Any) -> bool:
    """Whether two values mean the same for this property."""
    if spec.same is not None and spec.same(name, old, new):
        return True
    how = spec.compare.get(name)
    if how == "set" and isinstance(old, list) and isinstance(new, list):
        return {_key(item) for item in old} == {_key(item) for item in new}
    if how == "json" and isinstance(old, str) and isinstance(new, str):
        return canonical_json(old) == canonical_json(new)
    if how == "duration":
        return seconds(old) == seconds(new)
    if isinstance(kind, Scalar) and kind.kind in {"integer", "number"}:
        return bool(old == new)
    return type(old) is type(new) and bool(old == new)


def _compare(  # noqa: PLR0911, PLR0917 a walk over two trees and their type
    spec: Spec, kind: Type, old: Any, new: Any, path: Path, changes: list[Change]
) -> None:
    name = ".".join(part for part in path if isinstance(part, str))
    if name in spec.write_only or (new is None and name in spec.computed):
        return
    if new is None and is_zero(old):
        return
    if isinstance(kind, Object) and isinstance(old, Mapping) and isinstance(new, Mapping):
        for field, inner in kind.fields.items():
            _compare(spec, inner, old.get(field), new.get(field), (*path, field), changes)
        return
    if isinstance(kind, MapOf) and isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            if key not in old or key not in new or has_unknown(new[key]) or old[key] != new[key]:
                _note(spec, path, old.get(key), new.get(key), changes, leaf=key)
        return
    if isinstance(kind, ListOf) and isinstance(kind.element, Object):
        olds, news = old or [], new or []
        if news is UNKNOWN or len(olds) != len(news):
            _note(spec, path, old, new, changes)
            return
        for index, (before, after) in enumerate(zip(olds, news, strict=True)):
            _compare(spec, kind.element, before, after, (*path, index), changes)
        return
    if not has_unknown(new) and (
        (is_zero(old) and is_zero(new)) or equal(spec, name, kind, old, new)
    ):
        return
    _note(spec, path, old, new, changes)


def _note(  # noqa: PLR0917 as above
    spec: Spec, path: Path, old: Any, new: Any, changes: list[Change], leaf: str | None = None
) -> None:
    kind: Literal["add", "delete", "update"] = "update"
    if new is None:
        kind = "delete"
    elif old is None:
        kind = "add"
    here = path if leaf is None else (*path, leaf)
    name = ".".join(part for part in path if isinstance(part, str))
    changes.append(Change(here, kind, name in spec.replaces or str(path[0]) in spec.replaces))


def _covers(pattern: str, path: Path) -> bool:
    wanted = re.findall(r"[^.\[\]\"]+", pattern)
    here = [str(part) for part in path]
    return len(wanted) <= len(here) and all(
        want in ("*", part) for want, part in zip(wanted, here, strict=False)
    )


def _key(item: Any) -> str:
    return "unknown" if item is UNKNOWN else json.dumps(item, sort_keys=True)


def canonical_json(text: str) -> str:
    """JSON without its spaces and with its keys in order; other text as it is."""
    try:
        return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    except ValueError:
        return text


def seconds(value: Any) -> float | str:
    """The seconds of `90`, `"90"`, `"1m30s"`; text that is no duration comes back as it is."""
    if isinstance(value, int | float):
        return float(value)
    text = str(value or "0").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return text
