"""`LoadtestError`: what a person who starts a load process has to put right."""

from __future__ import annotations


class LoadtestError(Exception):
    """Raised for bad input or set-up: one line that names the thing and what to do.

    Programs print it to stderr without a traceback and exit 2.
    """
