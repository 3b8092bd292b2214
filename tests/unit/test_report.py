"""Reports: verdict first, everything escaped, nothing fetched."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console
from test_judge_runs import ANCHOR, events, requests, run_json, samples, write_run

from drills.judge import judge
from drills.record import read
from drills.report import html, junit, terminal, words
from drills.verdict import BoundResult, Verdict

NASTY = "<script>alert('$x_1$')</script>&\x1b[31m\x00]]>"


def made(root: Path, **parts: Any) -> tuple[str, Verdict]:
    """The page of a made-up run and its verdict."""
    history = read(write_run(root, **parts))
    verdict = judge(history)
    return html.render(history, verdict), verdict


def test_one_file_without_a_network(tmp_path: Path) -> None:
    """The page is under 2 MB and refers to nothing outside itself."""
    page, _ = made(tmp_path, asked=requests(rate=200))
    assert len(page.encode()) < 2_000_000
    assert not re.search(r"<(script|link|img|iframe)\b|@import|url\((?!#)", page)
    outside = set(re.findall(r"https?://[^\s\"'<]+", page))
    assert outside <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_verdict_comes_first(tmp_path: Path) -> None:
    """The verdict stands before the bounds, these before the charts, and all charts are there."""
    page, _ = made(tmp_path)
    parts = ['class="badge">pass<', "<h2>Bounds", "<h2>Over time", "<h2>What happened when"]
    assert [page.index(part) for part in parts] == sorted(page.index(part) for part in parts)
    for title in ("Requests a second", "Errors a second", "Latency", "Live leases", "Renewals"):
        assert f"<b>{title}" in page
    assert page.count("<svg") == 7
    assert "Nothing was measured" not in page


def test_charts_take_their_colours_from_the_page(tmp_path: Path) -> None:
    """No chart has a colour of its own, so that all follow the light or dark scheme."""
    page, _ = made(tmp_path)
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert not re.search(r"(?:fill|stroke): #", svg)


def test_ids_are_unique(tmp_path: Path) -> None:
    """The charts' ids do not clash in the page."""
    ids = re.findall(r'\bid="([^"]+)"', made(tmp_path)[0])
    assert len(ids) == len(set(ids))


def test_well_formed(tmp_path: Path) -> None:
    """Every element of the page that must be closed is."""
    stack: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "br"):
                stack.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert stack.pop() == tag

    Checker().feed(made(tmp_path)[0])
    assert stack == []


def test_nothing_is_trusted(tmp_path: Path) -> None:
    """Names from the run are shown as text, wherever they stand, charts included."""
    info = run_json(pool=NASTY)
    info["platform"]["nodes"] = [NASTY]
    info["versions"] = {NASTY: NASTY}
    measured = [{**row, "node": NASTY} if "node" in row else row for row in samples()]
    happened = [*events(), {"t": ANCHOR + 53, "event": NASTY, NASTY: {NASTY: [NASTY]}}]
    asked = [{**row, "op": NASTY, "error": row["error"] and NASTY} for row in requests()]
    page, verdict = made(tmp_path, info=info, measured=measured, happened=happened, asked=asked)
    assert "<script" not in page
    ET.fromstring(junit.render(verdict))  # noqa: S314  # made above


@pytest.mark.parametrize("events_kept", [0, 1, 4, 9])
def test_a_run_that_hardly_began_has_a_report(tmp_path: Path, events_kept: int) -> None:
    """A run that died early, with nothing measured, still gets its page and its XML."""
    page, verdict = made(tmp_path, happened=events()[:events_kept], measured=[], asked=[])
    assert "Nothing was measured" in page
    assert verdict.verdict in ("inconclusive", "undo-failed")
    ET.fromstring(junit.render(verdict))  # noqa: S314  # made above


def test_a_long_run_stays_small(tmp_path: Path) -> None:
    """A run of a week is drawn in as many points as one can see."""
    happened = events()
    happened[-1]["t"] = ANCHOR + 7 * 24 * 3600
    page, _ = made(tmp_path, happened=happened)
    assert len(page) < 2_000_000


def test_junit_maps_verdicts(tmp_path: Path) -> None:
    """Broken is a failure, inconclusive an error, and skipped where the run was cut short."""
    _, verdict = made(tmp_path, asked=requests(broken=True), measured=[])
    suite = ET.fromstring(junit.render(verdict))[0]  # noqa: S314  # made above
    counts = {key: int(suite.get(key, "")) for key in ("tests", "failures", "errors", "skipped")}
    # a test for each bound and one for the run as a whole; the two that the requests break
    unknown = len(verdict.bounds) - 2
    assert counts == {
        "tests": len(verdict.bounds) + 1,
        "failures": 2,
        "errors": unknown,
        "skipped": 0,
    }
    cut = verdict.model_copy(update={"verdict": "aborted", "reason": "safeguard"})
    suite = ET.fromstring(junit.render(cut))[0]  # noqa: S314  # made above
    assert (suite.get("skipped"), suite.get("errors")) == (str(unknown), "1")


def test_plain_lines_without_a_terminal(tmp_path: Path) -> None:
    """Without a terminal: the verdict in the first line, a line for each bound, then the report."""
    _, verdict = made(tmp_path, info=run_json(pool="[red]static"), asked=requests(broken=True))
    out = io.StringIO()
    terminal.show(verdict, tmp_path / "r", console=Console(file=out, width=40))
    lines = out.getvalue().splitlines()
    assert lines[0] == (
        "fail: forced-expiry, stack dev, pool [red]static (exit 99): "
        f"2 of {len(verdict.bounds)} bounds broken: failed_ratio, recovery_seconds"
    )
    assert len(lines) == len(verdict.bounds) + 2
    assert lines[-1] == f"report: {tmp_path / 'r' / 'report.html'}"


def test_table_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal the verdict comes first, and every bound is in the table."""
    _, verdict = made(tmp_path)
    out = io.StringIO()
    terminal.show(verdict, tmp_path, console=Console(file=out, width=120, force_terminal=True))
    text = out.getvalue()
    assert text.index("PASS") < text.index("failed_ratio") < text.index("report.html")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (float("inf"), "never"),
        (0, "0"),
        (1234567.0, "1,234,567"),
        (12345.6, "12,346"),
        (123.46, "123.5"),
        (12.345, "12.3"),
        (0.058451, "0.0585"),
        (0.5, "0.5"),
    ],
)
def test_figures_for_people(value: float | None, text: str) -> None:
    """Figures have the digits they deserve."""
    assert words.figure(value) == text


def test_units() -> None:
    """A limit is told with its sense and its unit."""
    result = BoundResult(
        name="unsealed_voters", phase="all", observed=1, limit=3, verdict="fail", detail=""
    )
    assert (words.observed(result), words.limit(result)) == ("1 node", "≥ 3 nodes")
