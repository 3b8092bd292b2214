"""The report: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup

from drills.bounds.history import History
from drills.recorded import recorded_drill
from drills.report import words
from drills.report.charts import draw
from drills.verdict import Verdict

MOST_EVENTS = 200
"""A probe that fails every second must not bury the rest."""


def render(history: History, verdict: Verdict) -> str:
    """The page as text, the same for the same folder."""
    drill = recorded_drill(history)
    charts = [
        {
            "title": chart.title,
            "note": chart.note,
            "legend": chart.legend,
            # Drawn by matplotlib, which escapes the names it is given.
            "svg": None if chart.svg is None else Markup(chart.svg),  # noqa: S704
        }
        for chart in draw(history)
    ]
    return _template().render(
        verdict=verdict,
        drill=drill,
        load=drill.load.words(verdict.pool),
        summary=words.summary(verdict),
        bounds=[
            {
                "name": each.name,
                "phase": each.phase,
                "observed": words.observed(each),
                "limit": words.limit(each),
                "verdict": each.verdict,
                "detail": each.detail,
            }
            for each in verdict.bounds
        ],
        tiles=_tiles(verdict),
        charts=charts,
        phases=_phases(history, verdict),
        errors=_errors(history),
        events=_events(history),
        dropped=max(0, len(history.events) - MOST_EVENTS),
        figures=[(name.replace("_", " "), words.figure(v)) for name, v in _others(verdict)],
        platform=history.info.platform,
    )


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


_TILES = (
    ("requests", "requests", ""),
    ("failed", "failed", ""),
    ("requests_per_second", "requests a second", ""),
    ("recovery_seconds", "to recover", " s"),
    ("p99_seconds_recovery", "p99 in recovery", " ms"),
    ("leases_at_peak", "leases at the peak", ""),
    ("leader_changes", "leader changes", ""),
    ("abort_latency_seconds", "from abort to undone", " s"),
)


def _tiles(verdict: Verdict) -> list[tuple[str, str]]:
    made = []
    for key, label, unit in _TILES:
        if key not in verdict.figures:
            continue
        value = verdict.figures[key]
        if value is None:
            made.append(("never" if key == "recovery_seconds" else "—", label))
        else:
            made.append((words.figure(value * (1000 if unit == " ms" else 1)) + unit, label))
    return made


def _phases(history: History, verdict: Verdict) -> list[dict[str, str]]:
    def milliseconds(key: str) -> str:
        value = verdict.figures.get(key)
        return words.figure(None if value is None else value * 1000)

    return [
        {
            "name": name + ("" if phase.complete else " (cut short)"),
            "seconds": f"{phase.seconds:.1f}",
            "requests": words.figure(verdict.figures.get(f"requests_{name}")),
            "failed": words.figure(verdict.figures.get(f"failed_{name}")),
            "p50": milliseconds(f"p50_seconds_{name}"),
            "p99": milliseconds(f"p99_seconds_{name}"),
        }
        for name, phase in history.phases.items()
    ]


def _others(verdict: Verdict) -> list[tuple[str, float | None]]:
    shown = {key for key, _, _ in _TILES}
    by_phase = ("requests_", "failed_", "p50_seconds_", "p99_seconds_")
    return [
        (name, value)
        for name, value in verdict.figures.items()
        if name not in shown and not name.startswith(by_phase)
    ]


def _errors(history: History) -> list[tuple[str, str, str]]:
    """(error class, operation, how often), the commonest first."""
    log = history.requests
    counts = Counter(
        (log.error[index] or "unnamed", log.op[index]) for index, ok in enumerate(log.ok) if not ok
    )
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return [(error, op, words.figure(count)) for (error, op), count in ordered[:12]]


def _events(history: History) -> list[dict[str, str]]:
    return [
        {
            "t": f"{float(row['t']) - history.start:+.2f}",
            "name": str(row["event"]),
            "kind": _kind(row),
            "detail": _detail(row),
        }
        for row in history.events[:MOST_EVENTS]
    ]


def _kind(row: Mapping[str, Any]) -> str:
    name = str(row["event"])
    if name in ("safeguard-triggered", "probe-failed", "interrupted"):
        return "bad"
    if name == "fault-undone":
        return "good" if row.get("verified") is True else "bad"
    if name == "run-ended":
        return "good" if row.get("outcome") == "completed" else "bad"
    return "fault" if name.startswith("fault-") else "plain"


def _detail(row: Mapping[str, Any]) -> str:
    fields = {key: value for key, value in row.items() if key not in ("t", "event")}
    return " · ".join(f"{key} {_plain(value)}" for key, value in fields.items())


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_plain(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)[:400]
