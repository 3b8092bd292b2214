"""The drill of a run that is over, as its run folder has it."""

from __future__ import annotations

from collections.abc import Mapping

from drills.bounds.history import History
from drills.definition import Drill, parse_drill


def recorded_drill(history: History) -> Drill:
    """The drill as it was when it ran, from run.json. Raises `DefinitionError`."""
    raw = history.info.drill
    faults = raw.get("faults")
    # A fault that has since been renamed must not make an old run unreadable.
    names = {
        name
        for item in (faults if isinstance(faults, list) else ())
        for name in (item if isinstance(item, Mapping) else (item,))
        if isinstance(name, str)
    }
    return parse_drill(raw, "run.json: drill", known_faults=names)
