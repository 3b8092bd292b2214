"""Every key that `Pulumi.<stack>.yaml` may have, out of the typed settings alone."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import GenerateJsonSchema

PROJECT = "rotation-drills"
#: Keys of the settings that are not under the project's own name in the file.
ELSEWHERE = {"allowed": "drills", "window": "drills"}
NAMESPACES = {PROJECT, *ELSEWHERE.values()}


def full_name(key: str) -> str:
    """Return a top-level key as the file writes it: `rotation-drills:nodes`."""
    return f"{ELSEWHERE.get(key, PROJECT)}:{key}"


def schema(settings: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the object under `config:` in a stack's file."""
    made = settings.model_json_schema(by_alias=True)
    _write_durations(made)
    properties = {full_name(key): value for key, value in made["properties"].items()}
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **made,
        "title": "config of Pulumi.<stack>.yaml",
        "properties": properties,
        "required": [full_name(key) for key in made.get("required", [])],
        # another package's keys, such as pulumi:disable-default-providers, are its own
        "patternProperties": {f"^(?!({'|'.join(sorted(NAMESPACES))}):)[^:]+:.+$": {}},
        "additionalProperties": False,
    }


def _write_durations(node: Any) -> None:
    """Defaults of durations as the file writes them: the model counts seconds."""
    if isinstance(node, dict):
        if node.get("pattern", "").endswith("([smhd])$") and isinstance(node.get("default"), int):
            node["default"] = f"{node['default']}s"
        for item in node.values():
            _write_durations(item)
    elif isinstance(node, list):
        for item in node:
            _write_durations(item)


def every_key(settings: type[BaseModel]) -> list[str]:
    """Return each key at every depth, dotted: `rotation-drills:services[].static.username`."""
    made = settings.model_json_schema(by_alias=True)
    found = dict.fromkeys(
        full_name(first) + rest
        for first, value in made["properties"].items()
        for rest in ["", *_below(made, value)]
    )
    return list(found)


def _below(made: dict[str, Any], node: dict[str, Any]) -> Iterator[str]:
    for form in _forms(made, node):
        if "items" in form:
            yield from (f"[]{rest}" for rest in _below(made, form["items"]))
        for key, value in form.get("properties", {}).items():
            yield f".{key}"
            yield from (f".{key}{rest}" for rest in _below(made, value))


def _forms(made: dict[str, Any], node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a value may be: references followed, alternatives one by one."""
    if "$ref" in node:
        yield from _forms(made, made["$defs"][node["$ref"].rsplit("/", 1)[1]])
    elif "anyOf" in node or "oneOf" in node:
        for form in [*node.get("anyOf", []), *node.get("oneOf", [])]:
            yield from _forms(made, form)
    else:
        yield node


def known_at(settings: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """Return the keys of the object at `place`, a path as pydantic gives it."""
    made = settings.model_json_schema(by_alias=True)
    nodes: list[dict[str, Any]] = [made]
    for part in place:
        below = []
        for form in (each for node in nodes for each in _forms(made, node)):
            if isinstance(part, int) and "items" in form:
                below.append(form["items"])
            elif part in form.get("properties", {}):
                below.append(form["properties"][part])
            elif form.get("properties", {}).get("method", {}).get("const") == part:
                below.append(form)  # pydantic names the alternative that it took
        nodes = below
    keys = [
        key for node in nodes for form in _forms(made, node) for key in form.get("properties", {})
    ]
    return list(dict.fromkeys(keys))


def _is_key(settings: type[BaseModel], place: Sequence[int | str], part: str) -> bool:
    """Whether `part` is a key; pydantic also names the alternative of a union that it took."""
    return part in known_at(settings, place)


def no_such_key(key: str, known: Sequence[str]) -> str:
    """Return the words for a key that nothing reads, with the nearest one that something does."""
    lowered = {name.lower().replace("_", ""): name for name in known}
    near = difflib.get_close_matches(key.lower().replace("_", ""), lowered, n=1, cutoff=0.6)
    meant = f"did you mean {lowered[near[0]]}? " if near else ""
    return f"there is no such key; {meant}known are {', '.join(sorted(known))}"


def complaint(settings: type[BaseModel], error: ValidationError) -> str:
    """Return the first thing that is wrong, in one line that begins with its key."""
    details = error.errors(include_url=False, include_input=False)
    # a key mistyped is also a key missing: the first explains the second
    first = next((each for each in details if each["type"] == "extra_forbidden"), details[0])
    place = list(first["loc"])
    words = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        words = no_such_key(str(place[-1]), known_at(settings, place[:-1]))
    if not place:
        return words
    where = full_name(str(place[0])) + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}"
        for index, part in enumerate(place[1:], start=1)
        if isinstance(part, int)
        or index == len(place) - 1
        or _is_key(settings, place[:index], part)
    )
    return f"{where}: {words}"
