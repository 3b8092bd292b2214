"""Runs a program until whoever started this is gone, then ends it and deletes its folder.

    python -I -S agent_guard.py FOLDER LOG PROGRAM ARGUMENT...

A program of its own, and nothing but the standard library: it has to outlive its parent by a
moment. The parent holds the other end of stdin, which the kernel closes however the parent dies;
the program itself gets the kernel's death signal, should this one be killed.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1
_PATIENCE_SECONDS = 5.0


def main(folder: str, log: str, *command: str) -> int:
    """Run `command`; return its exit status, or 0 when it was ended with the parent."""
    libc = ctypes.CDLL(None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    def die_with_parent() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    try:
        with open(log, "ab") as output:  # noqa: PTH123 - pathlib would triple the time to start
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={"HOME": folder},  # VAULT_ADDR and its like must not come between
                preexec_fn=die_with_parent,  # noqa: PLW1509 - this process has one thread
            )
        ended = os.pidfd_open(process.pid)
        try:
            ready = select.select([sys.stdin, ended], [], [])[0]
            return process.wait() if ended in ready else 0
        finally:
            process.terminate()
            try:
                process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
