"""Certificates as files."""

from __future__ import annotations

import threading

from loadtests.certificates import pem_file


def test_many_threads_get_one_whole_file() -> None:
    """Pools that open side by side get the same file, whole, and none of them fails."""
    pem = "-----BEGIN CERTIFICATE-----\n" + "x" * 100_000
    start = threading.Barrier(16)
    read: list[str] = []

    def ask() -> None:
        start.wait()
        read.append(pem_file(pem).read_text())

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [pem] * 16
