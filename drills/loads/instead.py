"""What the command line puts in place of a drill's own load."""

from __future__ import annotations

from pydantic import ValidationError

from drills.definition import Drill
from drills.errors import SetupError
from drills.loads import FleetLoad, UrlLoad


def with_target(drill: Drill, url: str) -> Drill:
    """Return the drill with the service at `url` as its load, with as many users as before.

    Raises `SetupError` for what is no URL, and for a drill of a fleet: its clients are what is
    drilled.
    """
    load = drill.load
    if isinstance(load, FleetLoad):
        raise SetupError(
            f"--target: {drill.drill} drills a fleet of lease clients, and no service takes its "
            "place: take a drill whose load is a service"
        )
    given = {"url": url, "users": getattr(load, "users", 1), "service": load.service}
    try:
        other = UrlLoad.model_validate(given)
    except ValidationError as error:
        words = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise SetupError(f"--target: {words.removeprefix('Value error, ')}") from None
    return drill.model_copy(update={"load": other})


def with_policy(drill: Drill, policy: str) -> Drill:
    """Return the drill with its fleet under `policy`.

    Raises `SetupError` for a policy that does not exist, and for a drill without a fleet.
    """
    from loadtests.policies import POLICIES  # noqa: PLC0415 - only a fleet has a policy

    if policy not in POLICIES:
        raise SetupError(f"--policy: there is no policy {policy!r}; known: {', '.join(POLICIES)}")
    if not isinstance(drill.load, FleetLoad):
        raise SetupError(f"--policy: the load of {drill.drill} is no fleet: --pool chooses there")
    return drill.model_copy(update={"load": drill.load.model_copy(update={"policy": policy})})
