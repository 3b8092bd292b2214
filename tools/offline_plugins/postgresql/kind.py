"""What all Postgres types share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from tools.offline_plugins import sdk
from tools.offline_plugins.postgresql.session import Server
from tools.offline_plugins.server import ResourceError
from tools.offline_plugins.spec import Spec


class PostgresqlKind:
    """One type on a server: `spec` is its data, the methods are its SQL."""

    data: ClassVar[Spec]

    def __init__(self, server: Callable[[], Server]) -> None:
        self.spec = self.data
        self._server = server
        self.schema = sdk.schema(self.spec.resource)

    @property
    def server(self) -> Server:
        """The configured server; raises ResourceError while there is none."""
        return self._server()

    def create(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make it and read it back; raises ResourceError, and then nothing is left behind."""
        self.make(inputs)
        identifier = self.identify(inputs)
        return identifier, self.known(identifier, inputs)

    def read(self, identifier: str, olds: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """What is there now; None when it is gone."""
        known = olds or {**self.spec.defaults, **self.imported(identifier)}
        state = self.gather(known)
        return None if state is None else (self.identify(state), state)

    def update(self, identifier: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        """Change it in place."""
        self.alter(olds, news)
        return self.known(identifier, {**self.carried(olds), **news})

    def known(self, identifier: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """The state just after a change; raises ResourceError when it isn't there."""
        state = self.gather(inputs)
        if state is None:
            raise ResourceError(f"{self.spec.resource} {identifier}: written, but not there")
        return state

    def say(self, inputs: dict[str, Any]) -> str:
        """What an error calls it."""
        return f"{self.spec.resource} {self.identify(inputs)}"

    # What each type brings along.
    def identify(self, inputs: dict[str, Any]) -> str:
        """The id."""
        raise NotImplementedError

    def imported(self, identifier: str) -> dict[str, Any]:
        """The inputs in an id; raises ResourceError where the published one can't import either."""
        raise ResourceError(f"{self.spec.resource} {identifier}: this type can't be imported")

    def carried(self, olds: dict[str, Any]) -> dict[str, Any]:
        """What stays of the old state through an update."""
        return {}

    def make(self, inputs: dict[str, Any]) -> None:
        """Create it."""
        raise NotImplementedError

    def gather(self, known: dict[str, Any]) -> dict[str, Any] | None:
        """The state; None when it is gone."""
        raise NotImplementedError

    def alter(self, olds: dict[str, Any], news: dict[str, Any]) -> None:
        """Change it."""
        raise NotImplementedError

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """Remove it."""
        raise NotImplementedError
