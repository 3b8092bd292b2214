"""Identities: Vault gives the id, and each is read by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.offline_plugins.server import ResourceError
from tools.offline_plugins.vault.endpoint import EndpointKind

_EXTERNAL = {
    "externalPolicies": "policies",
    "externalMemberEntityIds": "memberEntityIds",
    "externalMemberGroupIds": "memberGroupIds",
}


class IdentityKind(EndpointKind):
    """An entity, a group, an alias."""

    def identify(self, inputs: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
        """The id that Vault gave; without one there was something of that name before."""
        identifier = (answer.get("data") or {}).get("id")
        if not identifier:
            raise ResourceError(f"{self.spec.resource} {inputs.get('name')}: it exists already")
        return str(identifier)

    def parts(self, identifier: str) -> dict[str, Any]:
        """An id says nothing of the inputs."""
        return {}

    def update(self, identifier: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        """Write it under its id."""
        self.write(f"{self.spec.path}/id/{identifier}", self.body(news, olds), news)
        return self.known(identifier, news)

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """Delete it by its id."""
        path = f"{self.spec.path}/id/{identifier}"
        self.client.delete(path, namespace=olds.get("namespace"))

    def body(
        self, inputs: Mapping[str, Any], olds: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What is sent: not what other resources look after."""
        body = super().body(inputs, olds)
        for flag, name in _EXTERNAL.items():
            if inputs.get(flag):
                body.pop(self.spec.field(name), None)
        return body

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What Vault has under this id."""
        path = f"{self.spec.path}/id/{identifier}"
        answer = self.client.get(path, namespace=known.get("namespace"))
        if answer is None:
            return None
        data = dict(answer.get("data") or {})
        for flag, name in _EXTERNAL.items():
            if known.get(flag):
                data[self.spec.field(name)] = known.get(name)
        return data
