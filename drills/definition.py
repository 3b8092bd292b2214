"""A drill as its YAML file tells it, and one-line errors that name the file and the key."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationError,
    model_serializer,
)

from drills import durations
from drills.bounds import BOUNDS, BoundParams
from drills.loads import Load, kind_of
from drills.parts import Line, Part, Seconds

CATALOG = Path(__file__).parent / "catalog"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

PhaseName = Literal["warmup", "baseline", "fault", "recovery"]


class DefinitionError(Exception):
    """A drill file is not a drill, or there is no drill of that name.

    Raised while a definition is read, before anything is touched; the command line ends with
    exit status 2. `str()` is one line: `file.yaml: key: what is wrong`.
    """

    def __init__(self, path: Path | str, key: str, what: str) -> None:
        """`key` is a path like `bounds[1].recovery_seconds.at_most`, empty for the whole file."""
        self.path = path
        self.key = key
        self.what = " ".join(what.split())
        name = path.name if isinstance(path, Path) else path
        super().__init__(" ".join(": ".join(filter(None, (name, key, self.what))).split()))


class Phases(Part):
    """Length of each phase in seconds, in the order in which they run."""

    warmup: Annotated[float, BeforeValidator(durations.parse), Field(ge=0)]
    baseline: Seconds
    fault: Seconds
    recovery: Seconds

    def items(self) -> Iterator[tuple[PhaseName, float]]:
        """(name, seconds) in order."""
        yield "warmup", self.warmup
        yield "baseline", self.baseline
        yield "fault", self.fault
        yield "recovery", self.recovery

    @property
    def total(self) -> float:
        """Seconds of all phases together."""
        return sum(seconds for _, seconds in self.items())


class FailedRatioGuard(Part):
    """Abort when the share of failed requests stays over `over` for `for`."""

    over: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
    for_seconds: Annotated[Seconds, Field(alias="for")]


class LeaderMissingGuard(Part):
    """Abort when no Vault node is active for `for` (30 s unless told)."""

    for_seconds: Annotated[Seconds, Field(alias="for")] = 30.0


SAFEGUARDS: dict[str, type[FailedRatioGuard | LeaderMissingGuard]] = {
    "failed_ratio": FailedRatioGuard,
    "leader_missing": LeaderMissingGuard,
}


class FaultSpec(NamedTuple):
    """A fault to inject, with the parameters as the file has them: the fault checks its own."""

    name: str
    params: dict[str, Any]


class SafeguardSpec(NamedTuple):
    """A safeguard with its checked parameters."""

    name: str
    params: FailedRatioGuard | LeaderMissingGuard


class BoundSpec(NamedTuple):
    """A bound with its checked parameters, of the model that the bound itself declares."""

    name: str
    params: BoundParams


class Drill(BaseModel):
    """One drill. Dumps to the shape of its file, which `parse_drill` reads back unchanged."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    drill: Annotated[str, Field(pattern=f"^{_NAME.pattern}$")]
    title: Line
    catches: Line
    tags: tuple[Line, ...] = ()
    load: InstanceOf[Load]
    phases: Phases
    faults: tuple[InstanceOf[FaultSpec], ...]
    safeguards: tuple[InstanceOf[SafeguardSpec], ...] = ()
    bounds: Annotated[tuple[InstanceOf[BoundSpec], ...], Field(min_length=1)]

    @model_serializer
    def _as_file(self) -> dict[str, Any]:
        return {
            "drill": self.drill,
            "title": self.title,
            "catches": self.catches,
            "tags": list(self.tags),
            "load": self.load.as_file(),
            "phases": {name: durations.render(seconds) for name, seconds in self.phases.items()},
            "faults": [{name: params} for name, params in self.faults],
            "safeguards": [{name: _guard_as_file(params)} for name, params in self.safeguards],
            "bounds": [
                {name: params.model_dump(exclude_none=True)} for name, params in self.bounds
            ],
        }


def load_drill(path: Path, *, known_faults: Collection[str] | None = None) -> Drill:
    """Read the drill file `path`, whose name must be the drill's.

    `known_faults` defaults to the faults that exist. Raises `DefinitionError`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DefinitionError(path, "", f"can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DefinitionError(path, "", f"not UTF-8: {error.reason}") from error
    drill = parse_text(text, path, known_faults=known_faults)
    if drill.drill != path.stem:
        raise DefinitionError(path, "drill", f"{drill.drill!r} is not the file's name")
    return drill


def find_drill(
    name: str, extra_dirs: Collection[Path] = (), *, known_faults: Collection[str] | None = None
) -> Drill:
    """Read the drill called `name` from `extra_dirs`, else from the catalog.

    Raises `DefinitionError`, for an unknown name with the names that exist.
    """
    known: list[str] = []
    for folder in (*extra_dirs, CATALOG):
        paths = sorted(folder.glob("*.yaml"))
        known += [path.stem for path in paths]
        for path in paths:
            if path.stem == name:
                return load_drill(path, known_faults=known_faults)
    names = ", ".join(sorted(set(known)))
    raise DefinitionError(name, "", f"no such drill{_hint(name, known)}; there are: {names}")


def catalog(*, known_faults: Collection[str] | None = None) -> list[Drill]:
    """Every drill of the catalog, by name. Raises `DefinitionError` for the first broken one."""
    return [load_drill(path, known_faults=known_faults) for path in sorted(CATALOG.glob("*.yaml"))]


def parse_text(
    text: str, path: Path | str, *, known_faults: Collection[str] | None = None
) -> Drill:
    """Make a drill of YAML text; `path` is for the messages. Raises `DefinitionError`."""
    try:
        raw = yaml.load(text, _Loader)  # noqa: S506  # a SafeLoader that also refuses duplicates
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}" if mark else ""
        raise DefinitionError(path, line, error.problem or "not YAML") from error
    except yaml.YAMLError as error:
        raise DefinitionError(path, "", f"not YAML: {error}") from error
    except (ValueError, OverflowError, RecursionError) as error:
        raise DefinitionError(path, "", f"not a drill: {error}"[:200]) from error
    if raw is None:
        raise DefinitionError(path, "", "empty: a drill needs drill, title, load, phases, bounds …")
    return parse_drill(raw, path, known_faults=known_faults)


def parse_drill(
    raw: object, path: Path | str, *, known_faults: Collection[str] | None = None
) -> Drill:
    """Make a drill of what a drill file, or run.json's `drill`, holds. Raises `DefinitionError`."""
    top = dict(_mapping(raw, path, ""))
    for key in top:
        if key not in Drill.model_fields:
            raise DefinitionError(path, str(key), f"unknown key{_hint(key, Drill.model_fields)}")
    for key, field in Drill.model_fields.items():
        if field.is_required() and key not in top:
            raise DefinitionError(path, key, "missing")
    faults = _existing_faults() if known_faults is None else known_faults
    top["load"] = _load(top["load"], path)
    top["phases"] = _part(Phases, top["phases"], path, "phases", what="phase")
    top["tags"] = tuple(_sequence(top.get("tags", []), path, "tags"))
    top["faults"] = tuple(
        FaultSpec(name, dict(params))
        for name, params, _ in _one_key_maps(top["faults"], path, "faults", faults)
    )
    top["safeguards"] = tuple(
        SafeguardSpec(name, _part(SAFEGUARDS[name], params, path, key))
        for name, params, key in _one_key_maps(
            top.get("safeguards", []), path, "safeguards", SAFEGUARDS
        )
    )
    top["bounds"] = tuple(
        BoundSpec(name, _part(BOUNDS[name].params, params, path, key))
        for name, params, key in _one_key_maps(top["bounds"], path, "bounds", BOUNDS)
    )
    return _part(Drill, top, path, "")


M = TypeVar("M", bound=BaseModel)


def _load(raw: object, path: Path | str) -> Load:
    """Make the load of its kind; which one it is, its keys say."""
    given = _mapping(raw, path, "load")
    try:
        kind = kind_of(given)
    except ValueError as error:
        raise DefinitionError(path, "load", str(error)) from None
    return _part(kind, given, path, "load")


def _part(model: type[M], raw: object, path: Path | str, key: str, what: str = "key") -> M:
    """Validate one mapping; its first error becomes a line with the full key."""
    known = [field.alias or name for name, field in model.model_fields.items()]
    given = _mapping(raw, path, key)
    for name in given:
        if name not in known:
            raise DefinitionError(path, _join(key, name), f"unknown {what}{_hint(name, known)}")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = key
        for step in first["loc"]:
            # A union's branch has a place in `loc` too; only keys of the file belong in the path.
            if isinstance(step, int):
                where += f"[{step}]"
            elif step in known:
                where = _join(where, step)
        raise DefinitionError(path, where, _say(first)) from error


def _say(error: Mapping[str, Any]) -> str:
    """pydantic's error in this project's words."""
    kind, given = error["type"], _short(error["input"])
    if kind == "missing":
        return "missing"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "literal_error":
        expected = re.findall(r"'([^']*)'", str(error["ctx"]["expected"]))
        noun = "phase" if error["loc"][-1] == "phase" else "value"
        return f"unknown {noun} {given}{_hint(error['input'], expected)}"
    if kind == "string_pattern_mismatch" and error["loc"][-1] == "drill":
        return f"{given} is no name: lower-case words with - between them"
    if kind == "string_pattern_mismatch":
        return f"one line is wanted, not {given}"
    message = str(error["msg"])
    return f"{message[:1].lower()}{message[1:]}, not {given}"


def _one_key_maps(
    raw: object, path: Path | str, key: str, known: Collection[str] | None
) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """(name, parameters, path of keys) of each item of a list like `- name: {…}`."""
    noun = key.removesuffix("s")
    for index, item in enumerate(_sequence(raw, path, key)):
        where = f"{key}[{index}]"
        if isinstance(item, str):
            item = {item: None}  # noqa: PLW2901  # `- leader_missing` without parameters
        entry = _mapping(item, path, where)
        if len(entry) != 1:
            raise DefinitionError(path, where, f"one {noun} an item is wanted, not {len(entry)}")
        [(name, params)] = entry.items()
        if known is not None and name not in known:
            raise DefinitionError(path, f"{where}.{name}", f"unknown {noun}{_hint(name, known)}")
        inside = f"{where}.{name}"
        yield name, _mapping({} if params is None else params, path, inside), inside


def _mapping(raw: object, path: Path | str, key: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise DefinitionError(path, key, f"a map of keys is wanted, not {_short(raw)}")
    for name in raw:
        if not isinstance(name, str):
            raise DefinitionError(path, key, f"a key is text, not {_short(name)}")
    return raw


def _sequence(raw: object, path: Path | str, key: str) -> list[Any]:
    if not isinstance(raw, list):
        raise DefinitionError(path, key, f"a list is wanted, not {_short(raw)}")
    return raw


def _existing_faults() -> Collection[str] | None:
    """The faults that are there, or None where the registry is not: then any name will do."""
    try:  # late: faults import the clients of everything they break
        registry = importlib.import_module("drills.faults.registry")
    except ModuleNotFoundError as error:
        if error.name != "drills.faults.registry":
            raise
        return None
    names: Collection[str] = registry.names()
    return names


def _guard_as_file(params: FailedRatioGuard | LeaderMissingGuard) -> dict[str, Any]:
    dumped = params.model_dump(by_alias=True)
    return {**dumped, "for": durations.render(params.for_seconds)}


def _join(key: str, name: object) -> str:
    return f"{key}.{_plain(name)}" if key else _plain(name)


def _plain(name: object) -> str:
    return " ".join(str(name).split())[:60]


def _short(value: object) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits has no repr
        text = type(value).__name__
    return text if len(text) <= 60 else text[:57] + "…"


def _hint(name: object, known: Collection[str]) -> str:
    close = difflib.get_close_matches(str(name)[:60], sorted(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else ""


class _Loader(yaml.SafeLoader):
    """SafeLoader without duplicate keys (the last one would win silently), aliases and dates."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not allowed", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value == "<<" or not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is text", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{_plain(key.value)} is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag != "tag:yaml.org,2002:timestamp"]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
