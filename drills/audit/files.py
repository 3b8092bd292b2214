"""Audit log files: found by path, folder or pattern, and read whatever they are compressed with."""

from __future__ import annotations

import bz2
import glob
import importlib
import lzma
import shutil
import subprocess
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from drills.errors import SetupError

#: How compressed files begin. The suffix is not asked: rotation may keep the log's own name.
_GZIP, _BZ2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_CHUNK = 1 << 20


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


def find(given: Iterable[str]) -> list[Path]:
    """Return the files that `given` names: paths, folders (every file in them) and globs.

    Each file once, in the order of their names within one argument. Raises `SetupError` for an
    argument that names none.
    """
    found: dict[Path, None] = {}
    for text in given:
        path = Path(text)
        if path.is_dir():
            files = sorted(each for each in path.iterdir() if each.is_file())
        elif path.exists():
            files = [path]
        else:
            files = sorted(Path(each) for each in glob.glob(text) if Path(each).is_file())  # noqa: PTH207 - an absolute pattern is fine
        if not files:
            raise SetupError(f"--log {text}: no such file, and no file in it or like it")
        found.update(dict.fromkeys(each.resolve() for each in files))
    return list(found)


class _Gzip:
    """A gzip file of any number of members, twice as fast as `gzip` reads it in its small steps."""

    def __init__(self, raw: _Stream) -> None:
        self._raw = raw
        self._member = zlib.decompressobj(wbits=31)
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most about `size`; `EOFError` when the file is cut off."""
        while True:
            source = self._rest or self._raw.read(_CHUNK)
            if self._member.eof:
                if not source.strip(b"\0"):  # what fills a last block is no member
                    return b""
                self._member = zlib.decompressobj(wbits=31)
            elif not source:
                raise EOFError("the last member has no end")
            out = self._member.decompress(source, size)
            self._rest = self._member.unused_data or self._member.unconsumed_tail
            if out:
                return out


@contextmanager
def _zstd(path: Path) -> Iterator[Any]:
    """Open by the standard library (Python 3.14 on), else by the program `zstd`."""
    try:
        module = importlib.import_module("compression.zstd")
    except ImportError:
        program = shutil.which("zstd")
        if program is None:
            raise SetupError(
                f"{path}: is compressed by zstd: install the program `zstd`, or use Python 3.14"
            ) from None
        command = [program, "-dcq", "--", str(path)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=_CHUNK
        ) as process:
            try:
                yield process.stdout
            finally:
                process.kill()  # no harm when it has ended
    else:
        with module.open(path, "rb") as stream:
            yield stream


@contextmanager
def _opened(path: Path) -> Iterator[_Stream]:
    with path.open("rb") as plain:
        start = plain.read(6)
    if start.startswith(_ZSTD):
        with _zstd(path) as stream:
            yield stream
    elif start.startswith(_GZIP):
        with path.open("rb", buffering=0) as stream:
            yield _Gzip(stream)
    elif start.startswith(_BZ2):
        with bz2.open(path, "rb") as stream:
            yield stream
    elif start.startswith(_XZ):
        with lzma.open(path, "rb") as stream:
            yield stream
    else:
        with path.open("rb", buffering=_CHUNK) as stream:
            yield stream


def blocks(path: Path) -> Iterator[tuple[list[bytes], bool]]:
    """Yield the file's lines, about a megabyte of them at a time, without their newlines.

    With each the word whether they are whole: not so is a last line without its newline. Of a
    compressed file that is cut off or damaged, comes what can be read. Raises `SetupError` for a
    file that can't be opened.
    """
    rest = b""
    try:
        with _opened(path) as stream:
            while True:
                try:
                    block = stream.read(_CHUNK)
                except (EOFError, OSError, lzma.LZMAError, zlib.error):
                    rest = rest or b"\0"  # cut off or damaged: counted as a torn line
                    break
                if not block:
                    break
                *whole, rest = (rest + block).split(b"\n")
                if whole:
                    yield whole, True
    except OSError as error:
        raise SetupError(f"{path}: can't be read: {error.strerror or error}") from None
    if rest:
        yield [rest], False
