"""`leaked_secrets`: secrets of the run that were found in the files it wrote.

Figure: a count of places. Inconclusive when no secret was handed over to search for: a scan for
nothing finds nothing. Source: the scan at the end of every run (probe `secrets`).
"""

from __future__ import annotations

from drills.bounds.base import AtMost, Bound, Finding, counted, judged, number, unknown
from drills.bounds.history import History


def check(history: History, params: AtMost) -> Finding:
    """Judge the count."""
    rows = history.probe("secrets")
    hits = [hit for row in rows for hit in row["hits"] or ()]
    handled = sum(number(row["handled"]) or 0 for row in rows)
    if len(hits) <= params.at_most and handled == 0:
        return unknown("all", params.at_most, "no secret was handed over to search for")
    places = sorted({f"{hit.get('kind')} in {hit.get('file')}" for hit in hits})
    detail = f"{counted(len(hits), 'hit')} for {counted(handled, 'secret')}"
    if places:
        detail += f": {', '.join(places[:3])}" + (" …" if len(places) > 3 else "")
    return judged("all", len(hits), params.at_most, detail)


BOUND = Bound("leaked_secrets", AtMost, check, unit="places", needs=("secrets",))
