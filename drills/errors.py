"""Errors of the drill harness. Each is one line: what, where, and what to do."""

from __future__ import annotations


class SetupError(Exception):
    """The drill can't start: bad input, stack not up, drills not allowed, another one running.

    Nothing was injected and nothing is left running. Exit status 2.
    """


class FaultError(Exception):
    """A fault could not be injected or undone; the message says what failed.

    After a failed injection the runner undoes it all the same. Exit status 5 when undoing failed.
    """


class VaultRefused(Exception):
    """Vault answered a request of the harness with an error; the message has status and path."""

    def __init__(self, status: int, path: str, words: str) -> None:
        super().__init__(f"Vault answered {status} to {path}: {words}")
        self.status = status


class VaultUnreachable(Exception):
    """No node answered a request of the harness before its deadline."""
