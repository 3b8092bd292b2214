"""`duplicate_effects`: orders that were written more than once.

Figure: a count: rows of this run beyond the first of an item, once the load has ended. The load
gives every order an item of its own and sends it once, so a second row is a statement that was
carried out twice: a client that sends again what was committed, because the answer to the commit
did not come. Inconclusive when the run wrote nothing at all.
Source: the rows in Postgres (probe `effects`), for the demo service.
"""

from __future__ import annotations

from drills.bounds.base import AtMost, Bound, Finding, counted, judged, unknown
from drills.bounds.evidence import last_figure
from drills.bounds.history import History


def check(history: History, params: AtMost) -> Finding:
    """Judge the count."""
    rows = history.probe("effects")
    twice, written = last_figure(rows, "duplicates"), last_figure(rows, "written")
    if twice is None or not written:
        return unknown("all", params.at_most, "no order of this run was found to look at")
    detail = f"{counted(twice, 'row')} too many among {counted(written, 'order')}"
    return judged("all", twice, params.at_most, detail)


BOUND = Bound("duplicate_effects", AtMost, check, unit="rows", needs=("effects",))
