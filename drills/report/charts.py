"""The report's charts as inline SVG, drawn by matplotlib, coloured by the page's own CSS.

matplotlib is imported when the first chart is drawn: judging must not wait for it. Every colour
below is a stand-in that becomes a CSS variable, so one picture serves light, dark and paper.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from drills.bounds.evidence import audit_times
from drills.bounds.history import History
from drills.report.series import Bins, node_states, probed

INK = {
    "#010101": "--muted",
    "#020202": "--grid",
    "#030303": "--good",
    "#040404": "--bad",
    "#050505": "--blue",
    "#060606": "--violet",
    "#070707": "--amber",
    "#080808": "--fault",
    "#090909": "--band",
    "#0a0a0a": "--ink",
    "#0b0b0b": "--standby",
}
_MUTED, _GRID, _GOOD, _BAD, _BLUE, _VIOLET, _AMBER, _FAULT, _BAND, _TEXT, _STANDBY = INK
STATE_COLOURS = {"active": _GOOD, "standby": _STANDBY, "sealed": _AMBER, "unreachable": _BAD}

WIDTH, LEFT, RIGHT = 10.0, 0.072, 0.988
"""Inches, and the share of them where the time axis begins and ends: the same in every chart."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart; `svg` is None when there was nothing to draw. `legend`: (variable, word)."""

    title: str
    note: str
    legend: tuple[tuple[str, str], ...]
    svg: str | None


def draw(history: History) -> list[Chart]:
    """Every chart of the report, all on the same time axis."""
    bins = Bins.of(history)
    log = history.requests
    made = [_phases(history)]
    well = [t for t, ok in zip(log.t, log.ok, strict=True) if ok]
    failed = [t for t, ok in zip(log.t, log.ok, strict=True) if not ok]
    good, bad = bins.rates(well), bins.rates(failed)

    def requests(axes: Any) -> None:
        both = [one + other for one, other in zip(good, bad, strict=True)]
        axes.stairs(both, bins.edges, baseline=good, fill=True, color=_BAD, alpha=0.75)
        axes.stairs(good, bins.edges, fill=True, color=_GOOD, alpha=0.55)
        axes.stairs(good, bins.edges, color=_GOOD, linewidth=1.2, baseline=None)

    def errors(axes: Any) -> None:
        axes.stairs(bad, bins.edges, fill=True, color=_BAD, alpha=0.6)
        axes.stairs(bad, bins.edges, color=_BAD, linewidth=1.2, baseline=None)

    took = [1000 * s for s, ok in zip(log.seconds, log.ok, strict=True) if ok]
    p50, p99 = bins.percentiles(well, took, 0.5), bins.percentiles(well, took, 0.99)

    def latency(axes: Any) -> None:
        axes.stairs(p99, bins.edges, color=_VIOLET, linewidth=1.4, baseline=None)
        axes.stairs(p50, bins.edges, color=_BLUE, linewidth=1.2, baseline=None)

    enough = bool(len(log))
    made.append(
        _chart(
            history,
            ("Requests a second", "by the moment they were started"),
            {_GOOD: "succeeded", _BAD: "failed"},
            requests if enough else None,
        )
    )
    made.append(
        _chart(
            history,
            ("Errors a second", "none" if enough and not failed else ""),
            {_BAD: "failed"},
            errors if enough else None,
            height=0.95,
        )
    )
    made.append(
        _chart(
            history,
            ("Latency, ms", "successful requests, each second"),
            {_VIOLET: "p99", _BLUE: "p50"},
            latency if well else None,
        )
    )
    made.append(_leases(history, bins))
    made.append(_renewals(history, bins))
    made.append(_nodes(history))
    return made


def _leases(history: History, bins: Bins) -> Chart:
    lines = {
        _BLUE: ("leases in Vault", probed(history, "postgres_roles", "leases")),
        _AMBER: ("roles in Postgres", probed(history, "postgres_roles", "roles")),
    }
    if not lines[_BLUE][1][0]:
        lines[_BLUE] = ("leases, all of Vault", probed(history, "telemetry", "leases"))
    known = {colour: line for colour, line in lines.items() if line[1][0]}

    def live(axes: Any) -> None:
        for colour, (_, (times, values)) in known.items():
            style = "-" if colour == _BLUE else (0, (4, 2))
            steps = bins.highest(times, values)
            axes.stairs(
                steps, bins.edges, color=colour, linewidth=1.5, linestyle=style, baseline=None
            )

    return _chart(
        history,
        ("Live leases", "most in each second"),
        {colour: line[0] for colour, line in known.items()},
        live if known else None,
    )


def _renewals(history: History, bins: Bins) -> Chart:
    renew, issue = (
        audit_times(history, op, history.start, history.end) for op in ("renew", "issue")
    )
    centres = [(one + other) / 2 for one, other in zip(bins.edges, bins.edges[1:], strict=False)]

    def bars(axes: Any) -> None:
        for shift, colour, times in ((-0.2, _BLUE, renew), (0.2, _AMBER, issue)):
            rates = bins.rates(times)
            drawn = [(x + shift * bins.width, y) for x, y in zip(centres, rates, strict=True) if y]
            axes.bar(
                [x for x, _ in drawn], [y for _, y in drawn], width=0.4 * bins.width, color=colour
            )

    return _chart(
        history,
        ("Renewals and issues a second", "Vault's audit log"),
        {_BLUE: "renewals", _AMBER: "issues"},
        bars if history.probe("audit") else None,
    )


def _nodes(history: History) -> Chart:
    states = node_states(history)

    def lanes(axes: Any) -> None:
        for lane, stretches in enumerate(states.values()):
            for state, colour in STATE_COLOURS.items():
                spans = [(begin, end - begin) for begin, end, each in stretches if each == state]
                axes.broken_barh(spans, (lane - 0.32, 0.64), color=colour, linewidth=0)
        axes.set_yticks(range(len(states)), [_drawable(node) for node in states], parse_math=False)
        axes.set_ylim(len(states) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")

    seen = {each[2] for stretches in states.values() for each in stretches}
    return _chart(
        history,
        ("Leader and nodes", "sys/health, four times a second"),
        {colour: state for state, colour in STATE_COLOURS.items() if state in seen},
        lanes if history.probe("node_health") else None,
        height=0.35 + 0.3 * max(len(states), 1),
        last=True,
    )


def _drawable(name: str) -> str:
    """A name that fits beside its lane, without characters that no font has."""
    clean = "".join(each if each.isprintable() else "?" for each in name)
    return clean if len(clean) <= 12 else clean[:11] + "…"


def _phases(history: History) -> Chart:
    def ribbon(axes: Any) -> None:
        for phase in history.phases.values():
            middle = (phase.start + phase.end) / 2 - history.start
            room = phase.seconds / max(history.end - history.start, 1.0)
            axes.text(
                middle,
                0.5,
                phase.name if room > 0.0075 * len(phase.name) else phase.name[:1].upper(),
                ha="center",
                va="center",
                color=_TEXT,
                fontsize=9,
                parse_math=False,
            )
        axes.set_ylim(0, 1)
        axes.set_yticks([])
        axes.grid(visible=False)
        for side in axes.spines.values():
            side.set_visible(False)

    faults = ", ".join(dict.fromkeys(each.name for each in history.faults))
    return _chart(
        history,
        ("Phases", f"fault: {faults}" if faults else "no fault was injected"),
        {_FAULT: "from injection to undo"} if faults else {},
        ribbon if history.phases else None,
        height=0.52,
    )


def _chart(
    history: History,
    words: tuple[str, str],
    legend: dict[str, str],
    paint: Callable[[Any], None] | None,
    *,
    height: float = 1.35,
    last: bool = False,
) -> Chart:
    title, note = words
    keys = tuple((INK[colour], word) for colour, word in legend.items())
    if paint is None:
        return Chart(title, note, (), None)
    return Chart(title, note, keys, _svg(history, title, paint, height, last=last))


def _svg(
    history: History, title: str, paint: Callable[[Any], None], height: float, *, last: bool
) -> str:
    import matplotlib as mpl  # noqa: PLC0415  # half a second that a verdict need not wait for
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    below = 0.42 if last else 0.22  # inches for the ticks, and for the axis' name
    total = height + below + 0.08
    salted: Any = {**_STYLE, "svg.hashsalt": f"rotation-drills {title}"}
    with mpl.rc_context():
        mpl.rcdefaults()  # a matplotlibrc of the user's would change the bytes
        mpl.rcParams.update(salted)
        figure = Figure(figsize=(WIDTH, total))
        FigureCanvasSVG(figure)
        axes = figure.add_axes((LEFT, below / total, RIGHT - LEFT, height / total))
        axes.set_xlim(0, max(history.end - history.start, 1.0))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=12, steps=[1, 2, 3, 5, 6, 10]))
        paint(axes)
        if axes.get_yticks().size and title not in ("Phases", "Leader and nodes"):
            axes.set_ylim(0, max(1.08 * axes.get_ylim()[1], 1.0))
        _bands(history, axes)
        if last:
            axes.set_xlabel("seconds since the run began")
        out = io.StringIO()
        figure.savefig(
            out, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    return _inline(out.getvalue(), title)


def _bands(history: History, axes: Any) -> None:
    """Every other phase shaded, its beginning as a line; each fault from injection to undo."""
    for index, phase in enumerate(history.phases.values()):
        begin, end = phase.start - history.start, phase.end - history.start
        if index % 2:
            axes.axvspan(begin, end, color=_BAND, linewidth=0, zorder=0)
        axes.axvline(begin, color=_GRID, linewidth=1, zorder=0.5)
    for fault in history.faults:
        begin = fault.injecting - history.start
        end = (history.end if fault.undone is None else fault.undone) - history.start
        axes.axvspan(begin, end, color=_FAULT, alpha=0.14, linewidth=0, zorder=0.6)
        axes.axvline(begin, color=_FAULT, linewidth=1.2, linestyle=(0, (3, 2)), zorder=0.7)


_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": _GRID,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": _MUTED,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "path.simplify": True,
    "text.color": _TEXT,
    "text.parse_math": False,
    "xtick.color": _GRID,
    "xtick.labelcolor": _MUTED,
    "xtick.labelsize": 8.5,
    "ytick.color": _GRID,
    "ytick.labelcolor": _MUTED,
    "ytick.labelsize": 8.5,
}

_HEAD = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_IDS = re.compile(r' id="([^"]+)"')
_FONT = re.compile(r"font: ([\d.]+px)[^;\"]*")
_SIZE = re.compile(r'(<svg[^>]*?) width="[^"]*"', re.DOTALL)
_TALL = re.compile(r'(<svg[^>]*?) height="[^"]*"', re.DOTALL)


def _inline(svg: str, title: str) -> str:
    """The bare element, fit to stand in a page among others: no ids that clash, own colours."""
    svg = _METADATA.sub("", _HEAD.sub("", svg))
    used = set(re.findall(r'#([\w-]+)[")]', svg))
    svg = _IDS.sub(lambda match: match[0] if match[1] in used else "", svg)
    svg = _FONT.sub(r"font-size: \1", svg)
    svg = _TALL.sub(r"\1", _SIZE.sub(r"\1", svg, count=1), count=1)
    for stand_in, variable in INK.items():
        svg = svg.replace(stand_in, f"var({variable})")
    return svg.replace("<svg", f'<svg role="img" aria-label="{title}"', 1).strip()
