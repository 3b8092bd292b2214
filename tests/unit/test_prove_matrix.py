"""`drill prove`: what counts as a catch, what does not, and what is written down."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.bounds import BOUNDS
from drills.definition import Drill, catalog
from drills.errors import SetupError
from drills.prove import command, defects, matrix, table
from drills.prove.matrix import Cell, Plan
from drills.verdict import EXIT, BoundResult, Verdict
from loadtests.pools import find_pool

DRILLS = catalog()
PLAN = Plan("a-defect", "it is wrong", "forced-expiry", ("failed_ratio",), "some-pool")
GOOD = Plan(matrix.GOOD, "nothing is wrong", "forced-expiry", (), "lease-aware")


def verdict(run: str = "pass", **bounds: str) -> Verdict:
    """A verdict with these bounds."""
    return Verdict(
        drill="forced-expiry",
        run="r",
        stack="dev",
        pool="p",
        verdict=run,  # type: ignore[arg-type]
        exit=EXIT[run],  # type: ignore[index]
        reason="",
        bounds=tuple(
            BoundResult(name=name, phase="all", observed=1, limit=0, verdict=word, detail="so")  # type: ignore[arg-type]
            for name, word in bounds.items()
        ),
        figures={},
        versions={},
        started="",
        seconds=1,
    )


@pytest.mark.parametrize(
    ("plan", "found", "outcome"),
    [
        (PLAN, verdict("fail", failed_ratio="fail"), "caught"),
        (PLAN, verdict("fail", failed_ratio="fail", orphan_roles="fail"), "caught"),
        (PLAN, verdict("fail", failed_ratio="pass", orphan_roles="fail"), "other-bound"),
        (PLAN, verdict("pass", failed_ratio="pass"), "missed"),
        (PLAN, verdict("inconclusive", failed_ratio="inconclusive"), "unknown"),
        (PLAN, verdict("aborted", failed_ratio="fail"), "unknown"),
        (PLAN, verdict("undo-failed", failed_ratio="fail"), "unknown"),
        (GOOD, verdict("pass", failed_ratio="pass"), "passed"),
        (GOOD, verdict("fail", failed_ratio="fail"), "false-alarm"),
        (GOOD, verdict("inconclusive"), "unknown"),
    ],
)
def test_only_a_named_bound_is_a_catch(plan: Plan, found: Verdict, outcome: str) -> None:
    """A defect is caught by a failed verdict in a named bound, and by nothing else."""
    assert matrix.judge_cell(plan, found)[0] == outcome


@given(
    st.sampled_from(["inconclusive", "aborted", "undo-failed", "interrupted"]),
    st.dictionaries(st.sampled_from(list(BOUNDS)), st.sampled_from(["pass", "fail"])),
    st.sampled_from([PLAN, GOOD]),
)
def test_an_open_question_is_never_as_expected(
    word: str, bounds: dict[str, str], plan: Plan
) -> None:
    """Whatever its bounds say, a run that was not judged to its end is not as expected."""
    assert matrix.judge_cell(plan, verdict(word, **bounds))[0] not in matrix.EXPECTED


def cells(*verdicts: Verdict | SetupError, plans: list[Plan] | None = None) -> list[Cell]:
    """What comes of a cell each, in which a drill ends so."""
    left = list(verdicts)

    def execute(_drill: Drill, _pool: str) -> tuple[Verdict, Path]:
        found = left.pop(0)
        if isinstance(found, SetupError):
            raise found
        return found, Path("runs/r")

    plans = plans or [PLAN] * len(verdicts)
    return list(matrix.run(plans, DRILLS, execute, lambda: None, say=lambda _line: None))


def test_refused_cell_can_not_be_had() -> None:
    """A cell that preflight refuses is shown with the reason, and the next one is tried."""
    first, second = cells(SetupError("vault-2 is sealed"), verdict("fail", failed_ratio="fail"))
    assert (first.outcome, first.reason, first.verdict) == ("not-had", "vault-2 is sealed", None)
    assert second.outcome == "caught"
    assert matrix.exit_status([first, second], 2) == 99


def test_unknown_drill_can_not_be_had() -> None:
    """A defect for a drill that is not there, or whose bounds that drill lacks, is a cell that
    can't be had; nothing is run for it."""
    made = [
        defects.Named("one", defects.Defect(caught_by={"no-such-drill": ("failed_ratio",)}), ""),
        defects.Named("two", defects.Defect(caught_by={"leader-kill": ("duplicate_effects",)}), ""),
    ]
    plans = matrix.plan(made, DRILLS, good=False)
    found = cells(plans=plans)
    assert [each.outcome for each in found] == ["not-had", "not-had"]
    assert [each.reason for each in found] == [
        "drill leader-kill has no bound duplicate_effects",
        "there is no drill no-such-drill",
    ]


def test_inconclusive_cell_is_run_once_more() -> None:
    """A cell that says nothing is run a second time, and no third; a miss stands at once."""
    nothing, caught = verdict("inconclusive"), verdict("fail", failed_ratio="fail")
    [cell] = cells(nothing, caught, plans=[PLAN])
    assert (cell.outcome, cell.tries) == ("caught", 2)
    [cell] = cells(nothing, nothing, plans=[PLAN])
    assert (cell.outcome, cell.tries) == ("unknown", 2)
    [cell] = cells(verdict("pass"), plans=[PLAN])
    assert (cell.outcome, cell.tries) == ("missed", 1)


@pytest.mark.parametrize(("word", "status"), [("interrupted", 130), ("undo-failed", 5)])
def test_ends_early(word: str, status: int) -> None:
    """After Ctrl-C, and after a fault that was not undone, no further cell is run."""
    found = cells(verdict(word), verdict("fail", failed_ratio="fail"))
    assert len(found) == 1
    assert matrix.exit_status(found, 2) == status


def test_cells_that_were_not_run_are_not_as_expected() -> None:
    """A matrix of which a part is missing does not exit 0."""
    found = cells(verdict("fail", failed_ratio="fail"))
    assert matrix.exit_status(found, 1) == 0
    assert matrix.exit_status(found, 2) == 99


def test_faults_of_a_configuration_come_first() -> None:
    """What is wrong with the configuration is injected before the drill's own faults."""
    [drill] = [each for each in DRILLS if each.drill == "forced-expiry"]
    changed = matrix.with_faults(drill, (("vault-setting", {"path": "p"}),))
    assert [fault.name for fault in changed.faults] == ["vault-setting", "revoke-prefix"]
    assert [fault.name for fault in drill.faults] == ["revoke-prefix"]
    assert changed.bounds == drill.bounds


def test_good_client_goes_through_the_same_drills() -> None:
    """Every drill that is to catch something is run with the good client, as often as asked."""
    plans = matrix.plan(defects.load(), DRILLS, repeats=3)
    bad = {each.drill for each in plans if each.bounds and each.why_not is None}
    good = [each.drill for each in plans if not each.bounds]
    assert set(good) == bad
    assert all(good.count(drill) == 3 for drill in bad)


@pytest.mark.parametrize("named", defects.load(), ids=lambda named: named.name)
def test_every_defect_is_sound(named: defects.Named) -> None:
    """A defect has words, a pool that can be had or a fault, and bounds that exist."""
    assert named.about
    assert (named.defect.pool != defects.GOOD_POOL) != bool(named.defect.faults)
    find_pool(named.defect.pool)
    assert named.defect.caught_by
    for drill, bounds in named.defect.caught_by.items():
        assert set(bounds) <= set(BOUNDS), drill
        assert bounds


def test_there_are_ten_at_least() -> None:
    """There are ten defects at least, of clients and of configurations."""
    found = defects.load()
    assert len(found) >= 10
    assert any(each.defect.faults for each in found)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"only": "nope"}, "there is no such defect"),
        ({"drill": "nope"}, "it is to catch none"),
        ({"repeats": 0}, "1 or more"),
        ({"package": "no.such.package"}, "no defects in package"),
        ({"package": "drills.prove"}, "holds no defect"),
        ({"only": "good", "bad_only": True}, "exclude each other"),
    ],
)
def test_bad_input_is_a_line(wanted: dict[str, Any], words: str) -> None:
    """What can't be planned is refused in one line, before anything is touched."""
    with pytest.raises(SetupError, match=words) as caught:
        command.planned(command.Wanted(**wanted))
    assert "\n" not in str(caught.value)


def test_written_after_every_cell(tmp_path: Path) -> None:
    """prove.json and prove.md hold every cell, with what was expected and what broke."""
    found = [
        *cells(verdict("fail", failed_ratio="fail"), verdict("pass", failed_ratio="pass")),
        *cells(verdict("pass"), plans=[GOOD]),
    ]
    table.write(tmp_path, found, 4, {"started": "now"})
    told = json.loads((tmp_path / "prove.json").read_text())
    assert (told["exit"], told["planned"]) == (99, 4)
    assert told["outcomes"] == {"caught": 1, "missed": 1, "passed": 1}
    assert told["cells"][0]["broke"] == ["failed_ratio"]
    assert [cell["as_expected"] for cell in told["cells"]] == [True, False, True]
    text = (tmp_path / "prove.md").read_text()
    assert "1 of 2 bad cells caught, 1 of 1 runs of good clients passed; 1 cells" in text
    assert "| `a-defect` | `forced-expiry` | fail in `failed_ratio` | fail" in text
    assert "**missed**" in text


def test_control_is_run_once_a_drill() -> None:
    """What the bad clients are without their defects has to pass as well, once in each drill."""
    plans = matrix.plan(defects.load(), DRILLS, repeats=5, control=defects.control())
    controls = [each.drill for each in plans if each.defect == matrix.CONTROL]
    assert sorted(controls) == sorted(set(controls))
    assert len(controls) == len({each.drill for each in plans if each.defect == matrix.GOOD})


def test_about_is_the_first_sentence() -> None:
    """A defect's words are what its docstring says after `Defect:`."""
    said: Callable[[str | None], str] = defects.about
    assert said("Defect: renews\n  for ever. `x` ought to.") == "renews for ever"
    assert said("Defect of the configuration: no SQL. More.") == "no SQL"
    assert said(None) == ""
