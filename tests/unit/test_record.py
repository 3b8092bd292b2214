"""Run folders: what is written is whole and redacted, and read back as it was."""

from __future__ import annotations

import json
import stat
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from test_judge_runs import ANCHOR, FAULT, events, requests, run_json, samples, write_run

from drills.record import RecordError, RunFolder, read

NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)


def create(root: Path) -> RunFolder:
    """A new folder whose only secret is hunter2."""
    return RunFolder.create(
        root, "forced-expiry", redact=lambda text: text.replace("hunter2", "***"), now=NOW
    )


def test_name_and_mode(tmp_path: Path) -> None:
    """A folder is called after the UTC second and the drill, and only its owner may look in."""
    folder = create(tmp_path / "runs")
    assert folder.run == folder.path.name == "20261121t100000z-forced-expiry"
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    folder.event("run-started")
    assert stat.S_IMODE((folder.path / "events.jsonl").stat().st_mode) == 0o600


def test_two_runs_of_one_second(tmp_path: Path) -> None:
    """Two runs that begin in one second get two folders, and `latest` points to the second."""
    create(tmp_path)
    second = create(tmp_path)
    assert second.run == "20261121t100000z-forced-expiry-2"
    assert (tmp_path / "latest").resolve() == second.path.resolve()


def test_everything_is_redacted(tmp_path: Path) -> None:
    """A secret in any value or key, however deep, in any file, is redacted."""
    folder = create(tmp_path)
    secret: dict[str, Any] = {"a": ["hunter2", {"hunter2": ("x hunter2",)}], "p": Path("hunter2")}
    folder.event("fault-injecting", params=secret)
    folder.sample("audit", role="hunter2", more=secret)
    folder.write_json("run.json", secret)
    for name in ("events.jsonl", "samples.jsonl", "run.json"):
        text = (folder.path / name).read_text()
        assert "hunter2" not in text
        assert "***" in text


def test_odd_values_stay_json(tmp_path: Path) -> None:
    """NaN, infinity and lone surrogates never make a line that others can't read."""
    folder = create(tmp_path)
    folder.event("odd", nan=float("nan"), inf=float("inf"), text="\udc80", event_="x\ny")
    [line] = (folder.path / "events.jsonl").read_text().splitlines()
    assert json.loads(line)["nan"] is None


def test_lines_of_many_threads_are_whole(tmp_path: Path) -> None:
    """Lines that many threads write at once never mix."""
    folder = create(tmp_path)

    def work(number: int) -> None:
        for index in range(100):
            folder.sample("p", n=number, i=index, pad="x" * 200)

    threads = [threading.Thread(target=work, args=(n,), name=f"writer-{n}") for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = [json.loads(line) for line in (folder.path / "samples.jsonl").read_text().splitlines()]
    assert len({(row["n"], row["i"]) for row in rows}) == 800


def test_write_json_leaves_nothing_aside(tmp_path: Path) -> None:
    """A file that can't be encoded leaves the old one and no remains."""
    folder = create(tmp_path)
    folder.write_json("run.json", {"a": 1})
    folder.write_json("run.json", {"a": 2})
    assert json.loads((folder.path / "run.json").read_text()) == {"a": 2}
    assert not [path for path in folder.path.iterdir() if path.name.startswith(".")]


def test_late_samples_are_dropped(tmp_path: Path) -> None:
    """A probe thread that outlives the run does not crash on the closed folder."""
    with create(tmp_path) as folder:
        folder.event("run-started")
    folder.sample("late")
    folder.close()
    assert (folder.path / "samples.jsonl").read_bytes() == b""


def test_reopening_cuts_a_torn_line(tmp_path: Path) -> None:
    """Whoever goes on in the folder of a killed runner does not write behind a torn line."""
    folder = create(tmp_path)
    folder.event("run-started")
    folder.close()
    with (folder.path / "events.jsonl").open("ab") as file:
        file.write(b'{"t": 1, "ev')
    RunFolder(folder.path, redact=str).event("run-ended", outcome="interrupted")
    rows = (folder.path / "events.jsonl").read_text().splitlines()
    assert [json.loads(row)["event"] for row in rows] == ["run-started", "run-ended"]


def test_folder_that_can_t_be_made(tmp_path: Path) -> None:
    """A folder that can't be made is one line that names it."""
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(RecordError, match=r"runs: can't be made"):
        create(tmp_path / "runs")


def test_reads_back(tmp_path: Path) -> None:
    """A history has the phases, the fault's times, the samples by probe and sorted requests."""
    asked = requests()
    history = read(write_run(tmp_path, asked=asked[::-1]))
    assert list(history.phases) == ["warmup", "baseline", "fault", "recovery"]
    assert all(phase.complete for phase in history.phases.values())
    [fault] = history.faults
    assert (fault.name, fault.injected, fault.verified) == ("revoke-prefix", ANCHOR + FAULT, True)
    assert fault.params == {"role": "orders"}
    assert list(history.requests.t) == [row["t"] for row in asked]
    assert len(history.requests.within(ANCHOR + 1, ANCHOR + 2)) == 20
    assert len(history.probe("node_health")) == 4 * 49 * 3
    assert (history.start, history.end) == (ANCHOR, ANCHOR + 52)


@pytest.mark.parametrize("name", ["events.jsonl", "samples.jsonl", "requests.jsonl"])
def test_torn_last_line_is_skipped(tmp_path: Path, name: str) -> None:
    """A line that a dying machine cut short is skipped, wherever it was cut."""
    path = write_run(tmp_path)
    whole = read(path)
    torn = (path / name).read_bytes()
    line = torn.splitlines()[0]
    for cut in (1, len(line) // 2, len(line) - 1):
        (path / name).write_bytes(torn + line[:cut])
        history = read(path)
        assert history.events == whole.events
        assert len(history.requests) == len(whole.requests)


@pytest.mark.parametrize("name", ["events.jsonl", "samples.jsonl", "requests.jsonl"])
@pytest.mark.parametrize(
    "broken",
    [b"{", b"[]", b"5", b"{}", b'{"t": "x"}', b'{"t": NaN, "s": NaN, "ok": true}', b"\xff\x00"],
)
def test_broken_line_is_named(tmp_path: Path, name: str, broken: bytes) -> None:
    """A broken line in the middle is an error of one line with the file and the line."""
    path = write_run(tmp_path)
    rest = (path / name).read_bytes()
    (path / name).write_bytes(broken + b"\n" + rest)
    with pytest.raises(RecordError) as caught:
        read(path)
    assert f"{name}:1: broken line: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["run.json", "events.jsonl", "samples.jsonl"])
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    """A folder without a file that the verdict needs is refused, and the file named."""
    path = write_run(tmp_path)
    (path / name).unlink()
    with pytest.raises(RecordError, match=f"{name}: can't be read"):
        read(path)


def test_broken_run_json_names_the_key(tmp_path: Path) -> None:
    """A run.json without what is needed is told with the key."""
    info = run_json()
    del info["anchor"]["unix"]
    with pytest.raises(RecordError, match=r"run\.json: anchor\.unix: "):
        read(write_run(tmp_path, info=info))


def test_phase_without_an_end(tmp_path: Path) -> None:
    """A phase in which the run ended lasts until then, and is not complete."""
    happened = [row for row in events() if row["event"] != "phase-ended"]
    phase = read(write_run(tmp_path, happened=happened)).phases["recovery"]
    assert (phase.end, phase.complete) == (ANCHOR + 52, False)


def test_an_undo_counts_by_its_last_word(tmp_path: Path) -> None:
    """An undo that failed and was repeated with success is an undo."""
    happened = events()
    late = dict(next(row for row in happened if row["event"] == "fault-undone"))
    for row in happened:
        if row["event"] == "fault-undone":
            row.update(verified=False, problems=["node-2 sealed"])
    path = write_run(tmp_path / "a", happened=happened)
    assert read(path).faults[0].problems == ("node-2 sealed",)
    path = write_run(tmp_path / "b", happened=[*happened, late])
    assert read(path).faults[0].verified


def test_hundred_thousand_requests_load_quickly(tmp_path: Path) -> None:
    """100,000 requests are read in about a second (three are allowed, for a busy machine)."""
    path = write_run(tmp_path, asked=[], measured=samples()[:10])
    line = '{"t": %.6f, "s": 0.004, "op": "q", "ok": true, "error": null, "status": 200}\n'
    (path / "requests.jsonl").write_text("".join(line % (i / 1000) for i in range(100_000)))
    began = time.monotonic()
    assert len(read(path).requests) == 100_000
    assert time.monotonic() - began < 3
