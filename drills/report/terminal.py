"""The verdict on the terminal: colours and a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from drills.report import words
from drills.verdict import Verdict

STYLE = {
    "pass": "green",
    "fail": "red",
    "inconclusive": "yellow",
    "aborted": "yellow",
    "interrupted": "yellow",
    "undo-failed": "red",
}
MARK = {"pass": "✓", "fail": "✗", "inconclusive": "?"}


def show(verdict: Verdict, folder: Path, *, console: Console | None = None) -> None:
    """Print the verdict first, then each bound, then where the report is."""
    console = console or Console()
    if console.is_terminal:
        _table(verdict, folder, console)
    else:
        for line in lines(verdict, folder):
            console.print(line, markup=False, highlight=False, soft_wrap=True, emoji=False)


def lines(verdict: Verdict, folder: Path) -> list[str]:
    """What is printed where there is no terminal: one fact a line, to be searched by grep."""
    made = [
        f"{verdict.verdict}: {verdict.drill}, stack {verdict.stack}, pool {verdict.pool} "
        f"(exit {verdict.exit}): {words.summary(verdict)}"
    ]
    made += [
        f"{each.verdict}: {words.place(each)}: observed {words.observed(each)}, "
        f"limit {words.limit(each)}: {each.detail}"
        for each in verdict.bounds
    ]
    made.append(f"report: {folder / 'report.html'}")
    return made


def _table(verdict: Verdict, folder: Path, console: Console) -> None:
    style = STYLE[verdict.verdict]
    head = Text.assemble(
        (f" {verdict.verdict.upper()} ", f"bold reverse {style}"),
        f"  {verdict.drill}",
        (f"  stack {verdict.stack} · pool {verdict.pool} · exit {verdict.exit}", "dim"),
    )
    console.print()
    console.print(head)
    console.print(Text(words.summary(verdict)))
    console.print()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, justify in (("", "left"), ("bound", "left"), ("observed", "right")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("limit", justify="right", no_wrap=True)
    table.add_column("evidence", style="dim", overflow="fold")
    for each in verdict.bounds:
        colour = STYLE[each.verdict]
        table.add_row(
            Text(MARK[each.verdict], style=colour),
            Text(words.place(each)),
            Text(words.observed(each), style=colour),
            Text(words.limit(each)),
            Text(each.detail),
        )
    console.print(table)
    console.print()
    console.print(Text.assemble(("report  ", "dim"), str(folder / "report.html")), soft_wrap=True)
