"""Errors of the tool chain: what could not be had, and what to do about it."""

from __future__ import annotations


class ToolError(Exception):
    """A program this project needs is missing, too old, or could not be built.

    The message is one line (what, where, what to do). Nothing half-built stays in the cache.
    """
