"""Drills and runs in Chaos Toolkit's formats: an experiment to run with it, a journal to read."""
