"""What the kinds of load share: a name of the service whose credentials are used, and words."""

from __future__ import annotations

from typing import Any, ClassVar

from drills import durations
from drills.errors import SetupError
from drills.parts import Line, Part
from infra.platform import Platform, Service


def _written(value: Any) -> Any:
    if isinstance(value, float):  # every one is a duration
        return durations.render(value)
    return list(value) if isinstance(value, tuple) else value


class Load(Part):
    """One `load:` of a drill file.

    `key` is the key that tells its kind. `foreign`: its clients ran before the drill began, or
    are of a kind that tells nothing of its leases; what is to be known of them is in the audit log.
    """

    key: ClassVar[str]
    foreign: ClassVar[bool] = False

    service: Line | None = None

    def as_file(self) -> dict[str, Any]:
        """Return it as a drill file has it, defaults written out, durations with their unit."""
        dumped = self.model_dump(exclude_none=True)
        return {name: _written(value) for name, value in dumped.items()}

    def service_of(self, platform: Platform) -> Service:
        """Return the service whose role the clients use: the one named, else the stack's first.

        Raises `SetupError` when the stack has no such service.
        """
        if self.service is None:
            return platform.services[0]
        try:
            return platform.service(self.service)
        except KeyError as error:
            raise SetupError(f"load.service: {error.args[0]}") from None

    def client(self, pool: str) -> str:
        """Return what is judged: the pool's name, or what stands in its place."""
        return pool

    def words(self, pool: str) -> str:
        """Return the load in a few words."""
        raise NotImplementedError

    def check(self) -> None:
        """Refuse a load that can't be, before anything is touched. Raises `SetupError`."""
