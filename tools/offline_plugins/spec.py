"""What the SDK does not say of a resource type: the data every type brings along."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tools.offline_plugins.sdk import ListOf, MapOf, Object, Scalar, Type

Compare = Literal["set", "json", "duration"]


@dataclass(frozen=True, kw_only=True)
class Spec:
    """How the type `resource` behaves beyond its schema. Names are Pulumi's, nested ones dotted.

    `defaults` are the ones that go into the inputs. `computed` inputs keep what the server says
    when the program leaves them out. `absent` are properties of the SDK that the published plugin
    of that version doesn't have; `required` are those that it requires and the SDK, which knows
    such a newer one, does not. `write_only` values are sent and never kept. `secrets` are nested
    properties that are always secret; the top-level ones the SDK knows. Types on the newer plugin
    framework leave nulls, some their id too, out of their outputs (`omits_nulls`, `omits_id`).
    """

    resource: str
    replaces: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    computed: frozenset[str] = frozenset()
    compare: Mapping[str, Compare] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    write_only: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    omits_nulls: bool = False
    omits_id: bool = False
    same: Callable[[str, Any, Any], bool] | None = None


def words(text: str) -> frozenset[str]:
    """The names in a text: the tables stay readable that way."""
    return frozenset(text.split())


def sets(text: str) -> dict[str, Compare]:
    """Lists whose order does not count."""
    return dict.fromkeys(text.split(), "set")


def is_zero(value: Any) -> bool:
    """Null, or the empty value of its type; an object of such values is one, too."""
    if isinstance(value, Mapping):
        return all(is_zero(item) for item in value.values())
    return value is None or value in ("", 0, False) or value == []


def zero(kind: Type) -> Any:
    """The empty value of a type."""
    if isinstance(kind, Scalar):
        return {"string": "", "integer": 0, "number": 0, "boolean": False}[kind.kind]
    if isinstance(kind, ListOf):
        return []
    if isinstance(kind, MapOf):
        return {}
    if isinstance(kind, Object):
        return None
    return None


def snake(name: str) -> str:
    """`tokenMaxTtl` → `token_max_ttl`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
