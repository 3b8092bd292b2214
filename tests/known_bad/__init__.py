"""Clients and configurations with one defect each, which drills must catch.

A module a defect. Each holds a `DEFECT` that says which drills ought to catch it, and in which of
their bounds. A bad client is the `ControlPool` of control.py but for one thing, so what a drill
finds is that thing. `drill prove` runs them all.
"""
