"""`python -m drills` is the `drill` command."""

from drills.cli import main

main()
