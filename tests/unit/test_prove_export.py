"""Drills and runs in Chaos Toolkit's formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fault_world import platform
from test_judge_runs import events, requests, samples, write_run

from drills.definition import Drill, catalog
from drills.export import activity
from drills.export.chaostoolkit import experiment
from drills.export.journal import journal
from drills.judge import judge
from drills.record import read

#: What docs/reference/api/journal of Chaos Toolkit lists.
JOURNAL = {
    *("chaoslib-version", "platform", "node", "experiment", "start", "end", "duration", "status"),
    *("deviated", "steady_states", "run", "rollbacks"),
}
STEP = {"activity", "status", "output", "start", "end", "duration", "exception"}


@pytest.mark.parametrize("drill", catalog(), ids=lambda drill: drill.drill)
def test_experiment_has_every_fault_and_no_secret(drill: Drill, tmp_path: Path) -> None:
    """An experiment injects the drill's faults in order, takes them back, and holds no secret."""
    made = experiment(drill, platform(tmp_path), "http://127.0.0.1:1")
    arguments = [step["provider"]["arguments"] for step in made["method"]]
    assert [each[5] for each in arguments[:-1]] == [fault.name for fault in drill.faults]
    assert arguments[-1][-1] == "undo"
    assert made["rollbacks"][0]["provider"]["arguments"][-1] == "undo"
    for text in ("hvs.", "secret-id-of-orders", "password-of-the-observer", "unseal-key"):
        assert text not in json.dumps(made)
    for name, params in [(each[5], json.loads(each[6])) for each in arguments[:-1]]:
        assert (name, params) in [(fault.name, fault.params) for fault in drill.faults]


def made(tmp_path: Path, **parts: Any) -> dict[str, Any]:
    """The journal of a made-up run."""
    history = read(write_run(tmp_path, **parts))
    told: dict[str, Any] = json.loads(json.dumps(journal(history, judge(history))))
    return told


def test_journal_of_a_run_that_passed(tmp_path: Path) -> None:
    """A run that passed is completed, not deviated, and holds fault, undo and every bound."""
    told = made(tmp_path)
    assert set(told) == JOURNAL | {"rotation-drills"}
    assert (told["status"], told["deviated"]) == ("completed", False)
    assert [step["activity"]["name"] for step in told["run"]] == ["revoke-prefix"]
    assert [step["status"] for step in told["rollbacks"]] == ["succeeded"]
    after = told["steady_states"]["after"]
    assert after["steady_state_met"]
    assert all(probe["tolerance_met"] for probe in after["probes"])
    assert told["steady_states"]["before"]["steady_state_met"]
    for step in (*told["run"], *told["rollbacks"], *after["probes"]):
        assert set(step) >= STEP
    assert told["rotation-drills"]["exit"] == 0


def test_journal_of_a_run_that_failed(tmp_path: Path) -> None:
    """A broken bound is a deviation, and the probe that it is has not met its tolerance."""
    told = made(tmp_path, asked=requests(broken=True))
    assert (told["status"], told["deviated"]) == ("completed", True)
    missed = [
        probe["activity"]["name"]
        for probe in told["steady_states"]["after"]["probes"]
        if not probe["tolerance_met"]
    ]
    assert "failed_ratio" in missed


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ({"happened": events(outcome="interrupted")}, "interrupted"),
        ({"happened": events(outcome="aborted")}, "aborted"),
        ({"measured": [row for row in samples() if row["probe"] != "settled"]}, "failed"),
    ],
)
def test_journal_never_calls_an_open_question_completed(
    tmp_path: Path, parts: dict[str, Any], status: str
) -> None:
    """What was not judged to its end is not completed, and met no steady state."""
    told = made(tmp_path, **parts)
    assert told["status"] == status
    assert not told["steady_states"]["after"]["steady_state_met"]


def test_activity_refuses_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault that is not there, or parameters that are none, are one line and status 2."""
    (tmp_path / "Pulumi.yaml").touch()
    monkeypatch.setenv("ROTATION_DRILLS_ROOT", str(tmp_path))
    monkeypatch.setattr(activity, "load_platform", lambda *_: platform(tmp_path))
    for arguments in (["inject"], ["inject", "nope"], ["inject", "quota", "{"]):
        assert activity.main(arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1
