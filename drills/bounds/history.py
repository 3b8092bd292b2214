"""Reading a run folder: the `History` that every bound and every report is a function of."""

from __future__ import annotations

import json
import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Row = Mapping[str, Any]


class RecordError(Exception):
    """A run folder can't be written, or not be read back as what docs/ARCHITECTURE.md describes.

    The message is one line that names the file and, where there is one, the line. Nothing of a
    broken file is guessed at: judge an intact copy, or run the drill again.
    """


class Anchor(BaseModel):
    """One moment on both clocks: maps monotonic seconds to wall time."""

    monotonic: float
    unix: float


class PlatformInfo(BaseModel):
    """What the judge must know of the platform; other keys are kept out of its way."""

    model_config = ConfigDict(frozen=True)

    service: str = ""
    role: str = ""
    default_ttl_seconds: float = 0
    max_ttl_seconds: float = 0
    nodes: tuple[str, ...] = ()
    postgres: str = ""


class RunInfo(BaseModel):
    """run.json. `drill` is the whole definition in the shape of the drill file."""

    model_config = ConfigDict(frozen=True)

    run: str
    drill: dict[str, Any]
    stack: str
    pool: str
    started: str
    anchor: Anchor
    versions: dict[str, str] = Field(default_factory=dict)
    platform: PlatformInfo = PlatformInfo()


@dataclass(frozen=True, slots=True)
class Sample:
    """A probe's line: its time and its own fields; a missing field reads as None."""

    t: float
    fields: Row

    def __getitem__(self, key: str) -> Any:
        return self.fields.get(key)


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase as it happened. `complete` is false when the run ended in the middle of it."""

    name: str
    start: float
    end: float
    complete: bool

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclass(slots=True)
class FaultTimes:
    """When a fault was injected and undone; None for what did not happen."""

    name: str
    params: Row
    injecting: float
    injected: float | None = None
    undone: float | None = None
    verified: bool = False
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Requests:
    """The request log as columns, ordered by start."""

    t: array[float] = field(default_factory=lambda: array("d"))
    seconds: array[float] = field(default_factory=lambda: array("d"))
    ok: list[bool] = field(default_factory=list)
    error: list[str | None] = field(default_factory=list)
    op: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.t)

    def within(self, start: float, end: float) -> range:
        """Indexes of the requests that were started in [start, end)."""
        return range(bisect_left(self.t, start), bisect_left(self.t, end))


@dataclass(frozen=True, slots=True)
class History:
    """All that a run left behind. Times are monotonic seconds, as in the files."""

    info: RunInfo
    events: tuple[Row, ...]
    samples: Mapping[str, tuple[Sample, ...]]
    requests: Requests
    phases: Mapping[str, Phase]
    faults: tuple[FaultTimes, ...]
    start: float
    end: float

    def probe(self, name: str) -> tuple[Sample, ...]:
        """All samples of one probe in order of time."""
        return self.samples.get(name, ())

    def named(self, event: str) -> tuple[Row, ...]:
        """All events of one name."""
        return tuple(row for row in self.events if row["event"] == event)

    def window(self, phase: str) -> Phase | None:
        """The phase called so, or for `all` the time from the first to the last; None if it
        never began."""
        if phase != "all":
            return self.phases.get(phase)
        if not self.phases:
            return None
        every = list(self.phases.values())
        return Phase(
            name="all",
            start=min(each.start for each in every),
            end=max(each.end for each in every),
            complete=all(each.complete for each in every) and "recovery" in self.phases,
        )


def read(path: Path) -> History:
    """Read the run folder `path`.

    A torn last line is skipped; without requests.jsonl the load made no requests. Raises
    `RecordError` for a missing run.json, events.jsonl or samples.jsonl, and for a broken line.
    """
    info = _read_info(path / "run.json")
    events: list[Row] = []
    _each_line(path / "events.jsonl", lambda row, _: events.append(_checked(row, "event")))
    raw: dict[str, list[tuple[float, bytes, Row]]] = {}

    def keep(row: Row, line: bytes) -> None:
        _checked(row, "probe")
        raw.setdefault(row["probe"], []).append((float(row["t"]), line, row))

    _each_line(path / "samples.jsonl", keep)
    samples: dict[str, tuple[Sample, ...]] = {}
    for name, rows in raw.items():
        # Two samples of one moment are put in order of their text: the same evidence in another
        # order must give the same verdict.
        rows.sort(key=lambda each: each[:2])
        samples[name] = tuple(Sample(t, row) for t, _, row in rows)
    return assemble(info, events, samples, _read_requests(path / "requests.jsonl"))


def assemble(
    info: RunInfo,
    events: list[Row],
    samples: Mapping[str, tuple[Sample, ...]],
    requests: Requests,
) -> History:
    """Derive phases, faults, start and end from the events."""
    times = [float(row["t"]) for row in events]
    start = min(times, default=info.anchor.monotonic)
    end = max(times, default=start)
    for row in events:
        if row["event"] == "run-ended":
            end = float(row["t"])
    return History(
        info=info,
        events=tuple(events),
        samples=samples,
        requests=requests,
        phases=_phases(events, end),
        faults=_faults(events),
        start=start,
        end=end,
    )


def _phases(events: list[Row], run_end: float) -> dict[str, Phase]:
    phases: dict[str, Phase] = {}
    for row in events:
        name, t = row.get("phase"), float(row["t"])
        if row["event"] == "phase-started" and isinstance(name, str):
            phases[name] = Phase(name, t, max(t, run_end), complete=False)
        elif row["event"] == "phase-ended" and isinstance(name, str) and name in phases:
            phases[name] = Phase(name, phases[name].start, t, complete=True)
    return phases


def _faults(events: list[Row]) -> tuple[FaultTimes, ...]:
    faults: list[FaultTimes] = []
    for row in events:
        name, t = str(row.get("fault")), float(row["t"])
        mine = [each for each in faults if each.name == name]
        if row["event"] == "fault-injecting":
            params = row.get("params")
            faults.append(FaultTimes(name, params if isinstance(params, Mapping) else {}, t))
        elif row["event"] == "fault-injected":
            for each in mine:
                if each.injected is None:
                    each.injected = t
                    break
        elif row["event"] == "fault-undone":
            # A retried or recovered undo counts by its last word.
            for each in [one for one in mine if not one.verified][:1]:
                each.undone = t
                each.verified = row.get("verified") is True
                problems = row.get("problems")
                each.problems = tuple(map(str, problems)) if isinstance(problems, list) else ()
    return tuple(faults)


def _read_info(path: Path) -> RunInfo:
    try:
        return RunInfo.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RecordError(f"{path}: can't be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        message = " ".join(first["msg"].split())
        raise RecordError(f"{path}: {key + ': ' if key else ''}{message}") from error


def _read_requests(path: Path) -> Requests:
    if not path.exists():
        return Requests()
    t, seconds = array("d"), array("d")
    ok: list[bool] = []
    errors: list[str | None] = []
    ops: list[str] = []

    def keep(row: Row, _: bytes) -> None:
        started, took = float(row["t"]), float(row["s"])
        if not math.isfinite(started + took):
            raise ValueError("t or s is not finite")
        ok.append(row["ok"] is True)
        error = row.get("error")
        errors.append(error if error is None else str(error))
        ops.append(str(row.get("op", "")))
        t.append(started)
        seconds.append(took)

    _each_line(path, keep)
    if all(t[index] <= t[index + 1] for index in range(len(t) - 1)):
        return Requests(t, seconds, ok, errors, ops)
    order = sorted(range(len(t)), key=t.__getitem__)
    return Requests(
        array("d", (t[index] for index in order)),
        array("d", (seconds[index] for index in order)),
        [ok[index] for index in order],
        [errors[index] for index in order],
        [ops[index] for index in order],
    )


def _checked(row: Row, key: str) -> Row:
    if not isinstance(row["t"], int | float) or isinstance(row["t"], bool):
        raise TypeError("t is no number")
    if not math.isfinite(row["t"]):
        raise ValueError("t is not finite")
    if not isinstance(row[key], str):
        raise TypeError(f"{key} is no text")
    return row


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODE = json.JSONDecoder(parse_constant=_no_constant).decode


def _each_line(path: Path, keep: Callable[[Row, bytes], None]) -> None:
    for number, line, torn in _lines(path):
        try:
            row = _DECODE(line.decode())
            if not isinstance(row, dict):
                raise TypeError("no JSON object")  # noqa: TRY301  # one place names file and line
            keep(row, line)
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            if torn:
                return
            what = f"{error.args[0]} missing" if isinstance(error, KeyError) else str(error)
            raise RecordError(f"{path}:{number}: broken line: {what}") from error


def _lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Number, bytes and whether it lacks its end, for each line that is not empty."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line, not line.endswith(b"\n")
    except OSError as error:
        raise RecordError(f"{path}: can't be read: {error.strerror or error}") from error
