"""The request log: whole lines, soon, from any thread."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from loadtests.requestlog import RequestLog, RequestLogError


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_has_the_fields_of_the_run_folder(tmp_path: Path) -> None:
    """ARCHITECTURE.md names the fields of requests.jsonl, and these are they."""
    log = RequestLog(tmp_path / "requests.jsonl")
    log.record(
        start=12.3456789, seconds=0.25, op="place", ok=False, error="PoolTimeout", status=500
    )
    log.close()
    assert _lines(log.path) == [
        {"t": 12.345679, "s": 0.25, "op": "place", "ok": False, "error": "PoolTimeout"}
        | {"status": 500}
    ]


def test_requests_reach_the_file_without_a_close(tmp_path: Path) -> None:
    """A killed load process loses half a second of requests at most."""
    log = RequestLog(tmp_path / "requests.jsonl")
    log.record(start=1, seconds=1, op="read", ok=True)
    end = time.monotonic() + 5
    while not log.path.read_text() and time.monotonic() < end:
        time.sleep(0.02)
    assert _lines(log.path)[0]["op"] == "read"
    log.close()


def test_threads_lose_no_request(tmp_path: Path) -> None:
    """Every request of every thread is there once, in a whole line."""
    log = RequestLog(tmp_path / "requests.jsonl", flush_seconds=0.001)

    def work(number: int) -> None:
        for count in range(2000):
            log.record(start=count, seconds=0, op=f"thread-{number}", ok=True)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    seen = [(line["op"], line["t"]) for line in _lines(log.path)]
    assert len(seen) == len(set(seen)) == 16_000


def test_a_log_that_cannot_be_opened_says_so_in_one_line(tmp_path: Path) -> None:
    """A folder that is not there is named."""
    with pytest.raises(RequestLogError, match=r"no-folder/requests\.jsonl: No such file"):
        RequestLog(tmp_path / "no-folder" / "requests.jsonl")


def test_a_full_disk_does_not_stop_the_load() -> None:
    """A write that fails is kept as the log's problem, and later requests are dropped."""
    log = RequestLog(Path("/dev/full"))
    log.record(start=1, seconds=1, op="read", ok=True)
    log.flush()
    log.record(start=2, seconds=1, op="read", ok=True)
    log.close()
    assert log.problem == "request log /dev/full: No space left on device"
