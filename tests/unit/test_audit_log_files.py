"""Audit logs are read whatever was done to them: rotated, compressed, torn, mixed up."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_lines import line
from hypothesis import assume, given
from hypothesis import strategies as st

from drills.audit import entries, files
from drills.errors import SetupError

GOOD = line("secret/data/a") + b"\n" + line("secret/data/b") + b"\n"
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "gzip-members": lambda data: gzip.compress(data[:700]) + gzip.compress(data[700:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def read(*paths: Path, **how: object) -> tuple[list[str], entries.Counts]:
    """Return the paths asked for in these logs, and what was counted."""
    counts = entries.Counts()
    return [each.path for each in entries.read(paths, counts, **how)], counts  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", COMPRESS)
def test_compression_is_told_by_the_content(tmp_path: Path, kind: str) -> None:
    """A log is read whatever it was compressed with, and whatever it is called."""
    log = tmp_path / "audit.log.1"
    log.write_bytes(COMPRESS[kind](GOOD))
    found, counts = read(log)
    assert found == ["secret/data/a", "secret/data/b"]
    assert (counts.lines, counts.unreadable, counts.torn) == (2, 0, 0)


@pytest.mark.skipif(shutil.which("zstd") is None, reason="the program zstd is not there")
def test_zstd_is_read(tmp_path: Path) -> None:
    """A log compressed by zstd is read."""
    log = tmp_path / "audit.log.zst"
    log.write_bytes(
        subprocess.run(["zstd", "-qc"], input=GOOD, check=True, capture_output=True).stdout
    )
    assert read(log)[0] == ["secret/data/a", "secret/data/b"]


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz"])
def test_cut_off_compression_gives_what_is_there(tmp_path: Path, kind: str) -> None:
    """A compressed log that ends in the middle is read as far as it goes."""
    log = tmp_path / "audit.log.1"
    whole = COMPRESS[kind](GOOD * 5000)
    log.write_bytes(whole[: len(whole) * 2 // 3])
    found, counts = read(log)
    assert len(found) < 10_000
    assert counts.torn == 1


@given(cut=st.integers(1, len(GOOD)), junk=st.lists(st.binary(max_size=40), max_size=4))
def test_no_line_is_an_error(
    cut: int, junk: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever stands in a log, whole lines of Vault's are found, and the rest is counted."""
    foreign = b"".join(each.replace(b"\n", b"") + b"\n" for each in junk)
    assume(not foreign.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")))
    log = tmp_path_factory.mktemp("log") / "audit.log"
    log.write_bytes(foreign + GOOD + GOOD[:cut])
    found, counts = read(log)
    assert found[:2] == ["secret/data/a", "secret/data/b"]
    assert counts.torn <= 1
    assert counts.lines == len(found) + counts.unreadable + counts.torn + sum(
        not each.strip() for each in foreign.split(b"\n")[:-1]
    )


def test_torn_last_line_is_told_from_foreign_ones(tmp_path: Path) -> None:
    """What a machine that died left of a last line is torn; other words are unreadable."""
    log = tmp_path / "audit.log"
    log.write_bytes(b"starting up\n" + b'{"type":"x"}\n' + GOOD + line("secret/data/c")[:-20])
    found, counts = read(log)
    assert len(found) == 2
    assert (counts.unreadable, counts.torn) == (2, 1)


def test_what_stands_before_the_json_is_skipped(tmp_path: Path) -> None:
    """A device's prefix and a container engine's time stamp are no part of the line."""
    log = tmp_path / "audit.log"
    log.write_bytes(b"@cee: " + GOOD.split(b"\n")[0] + b"\n2026-11-21T10:00:00Z stdout F " + GOOD)
    assert len(read(log)[0]) == 3


@pytest.mark.parametrize("begins", [True, False])
def test_requests_are_told_without_decoding(tmp_path: Path, begins: bool) -> None:
    """Only answers are read where only they count, in the order of keys of old and new Vaults."""
    request, answer = line("a", kind="request"), line("a")
    if begins:
        head = b'{"time":"2026-11-21T10:00:00Z","type":"%s",'
        request = head % b"request" + request[1:].replace(b',"type":"request"}', b"}")
        answer = head % b"response" + answer[1:].replace(b',"type":"response"}', b"}")
    log = tmp_path / "audit.log"
    log.write_bytes(request + b"\n" + answer + b"\n")
    assert len(read(log, answers_only=True)[0]) == 1
    assert len(read(log)[0]) == 2


def test_folders_and_patterns_name_files(tmp_path: Path) -> None:
    """A folder is all its files, a pattern those like it, each file once; nothing is an error."""
    for name in ("audit.log", "audit.log.1.gz"):
        (tmp_path / name).write_bytes(GOOD)
    assert len(files.find([str(tmp_path)])) == 2
    assert len(files.find([str(tmp_path / "*.gz"), str(tmp_path / "audit.log.1.gz")])) == 1
    with pytest.raises(SetupError, match="no such file"):
        files.find([str(tmp_path / "*.zip")])
