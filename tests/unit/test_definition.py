"""Drill files: what is read, and the one line that says what can't be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills import durations
from drills.definition import (
    DefinitionError,
    Drill,
    catalog,
    find_drill,
    load_drill,
    parse_drill,
    parse_text,
)

FAULTS = {"revoke-prefix", "node-kill"}
GOOD = """\
drill: mine
title: A title
catches: a defect
load: {service: orders, users: 4, pools: 1}
phases: {warmup: 0s, baseline: 1500ms, fault: 2s, recovery: 1m}
faults:
  - revoke-prefix: {role: orders}
safeguards:
  - failed_ratio: {over: 0.5, for: 10s}
  - leader_missing
bounds:
  - failed_ratio: {phase: recovery, at_most: 0}
  - recovery_seconds: {at_most: 5}
"""


def refused(text: str) -> str:
    """The line with which `text` is refused."""
    with pytest.raises(DefinitionError) as caught:
        parse_text(text, Path("some/mine.yaml"), known_faults=FAULTS)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_reads_every_part() -> None:
    """A good file becomes a Drill with seconds, defaults and checked parameters."""
    drill = parse_text(GOOD, Path("mine.yaml"), known_faults=FAULTS)
    assert dict(drill.phases.items()) == {
        "warmup": 0,
        "baseline": 1.5,
        "fault": 2,
        "recovery": 60,
    }
    assert drill.load.pool_size == 20
    assert drill.tags == ()
    assert drill.faults == (("revoke-prefix", {"role": "orders"}),)
    assert [guard.params.for_seconds for guard in drill.safeguards] == [10, 30]
    assert [bound.name for bound in drill.bounds] == ["failed_ratio", "recovery_seconds"]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("title:", "titel:", "mine.yaml: titel: unknown key (did you mean title?)"),
        ("title: A title\n", "", "mine.yaml: title: missing"),
        ("title: A title", "title: 5", "mine.yaml: title: input should be a valid string, not 5"),
        ("users: 4", "user: 4", "mine.yaml: load.user: unknown key (did you mean users?)"),
        (
            "users: 4",
            "users: many",
            "mine.yaml: load.users: input should be a valid integer, not 'many'",
        ),
        ("fault: 2s", "fault: 2", "mine.yaml: phases.fault: unit missing: write 2s, 2ms or 2m"),
        (
            "fault: 2s",
            "fault: 2 sec",
            "mine.yaml: phases.fault: unknown unit 'sec' in '2 sec': units are ms, s, m, h",
        ),
        ("warmup: 0s", "warmpu: 0s", "phases.warmpu: unknown phase (did you mean warmup?)"),
        (
            "phase: recovery",
            "phase: recover",
            "mine.yaml: bounds[0].failed_ratio.phase: unknown phase 'recover' "
            "(did you mean recovery?)",
        ),
        (
            "at_most: 5",
            "at_mots: 5",
            "mine.yaml: bounds[1].recovery_seconds.at_mots: unknown key (did you mean at_most?)",
        ),
        ("{at_most: 5}", "{}", "mine.yaml: bounds[1].recovery_seconds.at_most: missing"),
        ("at_most: 5", "at_most: .nan", "bounds[1].recovery_seconds.at_most: "),
        ("at_most: 5", "at_most: '5'", "bounds[1].recovery_seconds.at_most: "),
        ("at_most: 5", "at_most: true", "bounds[1].recovery_seconds.at_most: "),
        ("at_most: 5", "at_most: -1", "bounds[1].recovery_seconds.at_most: "),
        (
            "recovery_seconds:",
            "recovery_second:",
            "bounds[1].recovery_second: unknown bound (did you mean recovery_seconds?)",
        ),
        (
            "revoke-prefix:",
            "revoke-prefx:",
            "mine.yaml: faults[0].revoke-prefx: unknown fault (did you mean revoke-prefix?)",
        ),
        (
            "leader_missing",
            "leader_mising",
            "safeguards[1].leader_mising: unknown safeguard (did you mean leader_missing?)",
        ),
        (", for: 10s", "", "mine.yaml: safeguards[0].failed_ratio.for: missing"),
        ("for: 10s", "for: 10", "safeguards[0].failed_ratio.for: unit missing"),
        ("title: A title", "title: A\ntitle: B", "mine.yaml: line 3: title is given twice"),
        ("title: A title", "title: [", "mine.yaml: line "),
        ("title: A title", "title: *a", "mine.yaml: line 2: aliases (*name) are not allowed"),
        ("drill: mine", "drill: My Drill", "mine.yaml: drill: 'My Drill' is no name"),
    ],
)
def test_says_what_is_wrong(old: str, new: str, line: str) -> None:
    """A mistake is told in one line with the file, the key and the likely intention."""
    assert old in GOOD
    assert line in refused(GOOD.replace(old, new))


def test_empty_file() -> None:
    """An empty file is told as empty, not as a missing key."""
    assert "mine.yaml: empty" in refused("# nothing\n")


def test_bounds_are_wanted() -> None:
    """A drill without bounds could never fail, and is refused."""
    text = GOOD.split("bounds:", maxsplit=1)[0] + "bounds: []\n"
    assert "mine.yaml: bounds: " in refused(text)


def test_p99_takes_exactly_one_limit() -> None:
    """Two limits, or none, on one bound are refused."""
    for keys in ("phase: all", "phase: all, at_most: 1, times_baseline: 2"):
        text = GOOD + f"  - p99_seconds: {{{keys}}}\n"
        assert "bounds[2].p99_seconds: needs either at_most" in refused(text)


def test_name_is_the_file_s(tmp_path: Path) -> None:
    """A drill whose name is not its file's is refused: nobody could find it."""
    path = tmp_path / "other.yaml"
    path.write_text(GOOD)
    with pytest.raises(
        DefinitionError, match=r"^other\.yaml: drill: 'mine' is not the file's name"
    ):
        load_drill(path, known_faults=FAULTS)


def test_unreadable_file(tmp_path: Path) -> None:
    """A file that is not there, or not text, is a DefinitionError as well."""
    with pytest.raises(DefinitionError, match="can't be read"):
        load_drill(tmp_path / "none.yaml", known_faults=FAULTS)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DefinitionError, match="not UTF-8"):
        load_drill(tmp_path / "bytes.yaml", known_faults=FAULTS)


def test_own_folder_comes_first(tmp_path: Path) -> None:
    """A drill of an own folder is found before one of the catalog."""
    (tmp_path / "leader-kill.yaml").write_text(GOOD.replace("mine", "leader-kill"))
    assert find_drill("leader-kill", [tmp_path], known_faults=FAULTS).title == "A title"


def test_unknown_drill_names_the_known() -> None:
    """An unknown drill is answered with the likely one and all that exist."""
    with pytest.raises(DefinitionError) as caught:
        find_drill("forced-expiri", known_faults=FAULTS)
    told, _, known = str(caught.value).partition("; there are: ")
    assert told == "forced-expiri: no such drill (did you mean forced-expiry?)"
    assert {"forced-expiry", "leader-kill"} <= set(known.split(", "))


def test_catalog_is_whole() -> None:
    """Every drill of the catalog is valid with the faults that exist, and survives run.json."""
    drills = catalog()
    assert {"forced-expiry", "leader-kill"} <= {drill.drill for drill in drills}
    for drill in drills:
        assert parse_drill(drill.model_dump(), "run.json", known_faults=None) == drill


@given(st.text(max_size=200))
def test_any_text_is_a_drill_or_a_line(text: str) -> None:
    """Whatever the text, the parser gives a Drill or a one-line DefinitionError."""
    check(text)


YAML_VALUES = st.recursive(
    st.sampled_from(
        sorted(
            {"5", "-1", "2s", "1e999", ".inf", ".nan", "null", "true", "orders", "''", "9" * 5000}
            | {
                "2001-99-99",
                "*a",
                "&a x",
                "!!binary x",
                "!!set {a}",
                "1:30",
                "0x1",
                '"\\x00"',
                "<<",
            }
        )
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(
            st.sampled_from(["phase", "at_most", "for", "failed_ratio", "5", "? x", "<<"]),
            inner,
            max_size=3,
        ).map(lambda map_: "{" + ", ".join(f"{key}: {item}" for key, item in map_.items()) + "}")
    ),
    max_leaves=6,
)


@given(st.sampled_from(GOOD.splitlines()), YAML_VALUES)
def test_any_value_is_a_drill_or_a_line(line: str, value: str) -> None:
    """Whatever stands where a value should, the parser gives a Drill or a DefinitionError."""
    key = line.split(":", maxsplit=1)[0]
    check(GOOD.replace(line, f"{key}: {value}"))


def check(text: str) -> None:
    """Parse; anything but a Drill or a one-line DefinitionError is a crash."""
    try:
        drill = parse_text(text, "x.yaml", known_faults=FAULTS)
    except DefinitionError as error:
        said = str(error)
    else:
        said = drill.title
        assert isinstance(drill, Drill)
    assert len(said.splitlines()) == 1


@given(st.integers(min_value=0, max_value=7 * 24 * 3600 * 1000))
def test_durations_round_trip(milliseconds: int) -> None:
    """A duration written back and read again is the same duration."""
    seconds = milliseconds / 1000
    assert durations.parse(durations.render(seconds)) == seconds


@given(st.text(max_size=12) | st.from_regex(r"\A[0-9]{1,3}(\.[0-9]{1,3})? ?[a-z]{0,2}\Z"))
def test_a_duration_has_a_unit(text: str) -> None:
    """Text is seconds of a week at most, with a unit, or a DurationError."""
    try:
        seconds = durations.parse(text)
    except durations.DurationError:
        return
    assert 0 <= seconds <= 7 * 24 * 3600
    assert text.strip().endswith(("s", "m", "h"))


@pytest.mark.parametrize(
    "value", [5, 0.5, True, None, [], "5", "-5s", "5 S", "\u0665s", "1e3s", "8d"]
)
def test_no_duration(value: object) -> None:
    """A bare number, a sign, an exponent and foreign digits are not durations."""
    with pytest.raises(durations.DurationError):
        durations.parse(value)
