"""Pulumi's property values on the wire, and as plain Python.

Inside the plugins a value is plain Python (None, bool, int, float, str, list, dict) or `UNKNOWN`.
Which of them are secret is kept beside the values, as a set of paths, so that no comparison and no
API call has to look through a wrapper.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import struct_pb2

Path = tuple[str | int, ...]
Properties = dict[str, Any]

_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 a marker of the protocol
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNKNOWN_TEXTS: Final = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # string, and what is written
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # list
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # map
    }
)
_UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

DEFAULTS: Final = "__defaults"
META: Final = "__meta"


class _Unknown:
    """The one value of a property that only an update will settle."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        return True


UNKNOWN: Final = _Unknown()


@dataclass
class Bag:
    """Properties and the paths in them that are secret."""

    values: Properties = field(default_factory=dict)
    secrets: set[Path] = field(default_factory=set)

    def secret_names(self) -> set[str]:
        """The top-level properties that hold a secret anywhere."""
        return {str(path[0]) for path in self.secrets if path}


def decode(struct: struct_pb2.Struct | None) -> Bag:
    """Read a message's properties; whole numbers come back as int."""
    bag = Bag()
    if struct is not None:
        for name, value in struct.fields.items():
            bag.values[name] = _decode(value, (name,), bag.secrets)
    return bag


def _decode(value: struct_pb2.Value, path: Path, secrets: set[Path]) -> Any:  # noqa: PLR0911 one return a kind of value
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text = value.string_value
        return UNKNOWN if text in _UNKNOWN_TEXTS else text
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        items = value.list_value.values
        return [_decode(item, (*path, index), secrets) for index, item in enumerate(items)]
    if kind == "struct_value":
        fields = value.struct_value.fields
        signature = fields[_SIGNATURE].string_value if _SIGNATURE in fields else ""
        if signature == _SECRET:
            secrets.add(path)
            return _decode(fields["value"], path, secrets)
        if signature == _OUTPUT:
            if "secret" in fields and fields["secret"].bool_value:
                secrets.add(path)
            return _decode(fields["value"], path, secrets) if "value" in fields else UNKNOWN
        return {name: _decode(item, (*path, name), secrets) for name, item in fields.items()}
    return None


def encode(values: Mapping[str, Any], secrets: Iterable[Path] = ()) -> struct_pb2.Struct:
    """Write properties, each path of `secrets` wrapped (null values too, as the engine does)."""
    wrapped = frozenset(secrets)
    struct = struct_pb2.Struct()
    for name, value in values.items():
        struct.fields[name].CopyFrom(_encode(value, (name,), wrapped))
    return struct


def _encode(value: Any, path: Path, secrets: frozenset[Path]) -> struct_pb2.Value:  # noqa: PLR0911 as above
    if path in secrets:
        inner = _encode(value, path, secrets - {path})
        fields = {_SIGNATURE: struct_pb2.Value(string_value=_SECRET), "value": inner}
        return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=fields))
    if value is UNKNOWN:
        return struct_pb2.Value(string_value=_UNKNOWN_TEXT)
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, list | tuple):
        items = [_encode(item, (*path, index), secrets) for index, item in enumerate(value)]
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=items))
    if isinstance(value, Mapping):
        fields = {str(name): _encode(item, (*path, name), secrets) for name, item in value.items()}
        return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=fields))
    raise TypeError(f"{'.'.join(map(str, path))}: {type(value).__name__} can't go into a property")


def has_unknown(value: Any) -> bool:
    """Whether anything in the value waits for an update."""
    if value is UNKNOWN:
        return True
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    return isinstance(value, list | tuple) and any(has_unknown(item) for item in value)


def without_internals(value: Any) -> Any:
    """The value without the engine's own entries (`__defaults`, `__meta`) at any depth."""
    if isinstance(value, Mapping):
        return {
            name: without_internals(item)
            for name, item in value.items()
            if name not in {DEFAULTS, META}
        }
    if isinstance(value, list):
        return [without_internals(item) for item in value]
    return value


def dotted(path: Path) -> str:
    """A path as Pulumi writes it: `tune.defaultLeaseTtl`, `args[0].name`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
