"""Values stored at a path: key-value secrets, and any endpoint at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tools.offline_plugins.diff import seconds
from tools.offline_plugins.vault.endpoint import EndpointKind


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _compact(value)


class KvConfigKind(EndpointKind):
    """The configuration of a key-value engine of version 2."""

    def body(
        self, inputs: Mapping[str, Any], olds: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What is sent."""
        body = super().body(inputs, olds)
        if "delete_version_after" in body:
            body["delete_version_after"] = f"{body['delete_version_after']}s"
        return body

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The configuration."""
        data = super().fetch(identifier, known)
        if data is None:
            return None
        return {**data, "delete_version_after": seconds(data.get("delete_version_after"))}


class KvSecretKind(EndpointKind):
    """A key-value secret of version 2, with its custom metadata."""

    def create(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Write a version, then the metadata; raises ResourceError."""
        self._put(inputs)
        self._describe(inputs)
        identifier = self.path(inputs)
        return identifier, self.known(identifier, inputs)

    def update(self, identifier: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        """A new version when the data has changed; the metadata when that has."""
        written = news.get("dataJsonWoVersion") != olds.get("dataJsonWoVersion")
        if written or _loads(news.get("dataJson")) != _loads(olds.get("dataJson")):
            self._put(news)
        if news.get("customMetadata") != olds.get("customMetadata"):
            self._describe(news)
        return self.known(identifier, news)

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """The latest version, or all of them."""
        path = self.path({**self.parts(identifier), **olds})
        if olds.get("deleteAllVersions"):
            path = self._metadata_path(path)
        self.client.delete(path, namespace=olds.get("namespace"))

    def fetch(self, identifier: str, known: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The latest version and its metadata."""
        if known.get("disableRead"):
            return {n: known.get(n) for n in ("data", "dataJson", "metadata", "customMetadata")}
        answer = super().fetch(identifier, known)
        if answer is None or answer.get("data") is None:
            return None
        path = self._metadata_path(identifier)
        about = self.client.get(path, namespace=known.get("namespace")) or {}
        details = about.get("data") or {}
        data = answer["data"] if "dataJsonWoVersion" not in known else {}
        return {
            "data": {name: _text(value) for name, value in data.items()},
            "dataJson": _compact(data) if "dataJsonWoVersion" not in known else None,
            "metadata": {n: _text(v) for n, v in (answer.get("metadata") or {}).items()},
            "customMetadata": {
                "casRequired": details.get("cas_required"),
                "data": details.get("custom_metadata") or {},
                "deleteVersionAfter": seconds(details.get("delete_version_after")),
                "maxVersions": details.get("max_versions"),
            },
        }

    def gather(self, identifier: str, known: Mapping[str, Any]) -> dict[str, Any] | None:
        """The state."""
        data = self.fetch(identifier, {k: v for k, v in known.items() if v is not None})
        if data is None:
            return None
        given = {name: known.get(name) for name in self.schema.outputs}
        return {
            **given,
            **self.parts(identifier),
            **data,
            "deleteAllVersions": bool(known.get("deleteAllVersions")),
            "disableRead": bool(known.get("disableRead")),
            "path": identifier,
        }

    def _put(self, inputs: Mapping[str, Any]) -> None:
        data = json.loads(inputs.get("dataJsonWo") or inputs.get("dataJson") or "{}")
        options: dict[str, Any] = dict(inputs.get("options") or {})
        if "cas" in inputs:
            options["cas"] = inputs["cas"]
        self.write(self.path(inputs), {"data": data, "options": options}, inputs)

    def _describe(self, inputs: Mapping[str, Any]) -> None:
        block = inputs.get("customMetadata")
        if not block:
            return
        body = {
            "cas_required": bool(block.get("casRequired")),
            "custom_metadata": block.get("data") or {},
            "delete_version_after": f"{block.get('deleteVersionAfter') or 0}s",
            "max_versions": block.get("maxVersions") or 0,
        }
        self.write(self._metadata_path(self.path(inputs)), body, inputs)

    @staticmethod
    def _metadata_path(path: str) -> str:
        return path.replace("/data/", "/metadata/", 1)


class GenericKind(EndpointKind):
    """Any endpoint: what is written there, and of what is read there only what was written."""

    def create(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Write it; raises ResourceError."""
        return inputs["path"], self.update(inputs["path"], {}, inputs)

    def update(self, identifier: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        """Write it, and keep the answer's fields that the program asked for."""
        answer = self.write(identifier, json.loads(news["dataJson"]), news)
        asked = news.get("writeFields") or []
        given = {n: v for n, v in (answer.get("data") or {}).items() if n in asked}
        written = {
            "writeData": {name: _text(value) for name, value in given.items()},
            "writeDataJson": _compact(given) if asked else "null",
        }
        return self.known(identifier, {**news, **written})

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """Delete it, unless the program said not to."""
        if not olds.get("disableDelete"):
            self.client.delete(identifier, namespace=olds.get("namespace"))

    def gather(self, identifier: str, known: Mapping[str, Any]) -> dict[str, Any] | None:
        """The state."""
        state = {name: known.get(name) for name in self.schema.outputs}
        state["path"] = identifier
        for name in ("disableDelete", "disableRead", "ignoreAbsentFields"):
            state[name] = bool(known.get(name))
        if known.get("disableRead"):
            return state
        answer = self.client.get(identifier, namespace=known.get("namespace"))
        if answer is None:
            return None
        data = answer.get("data") or {}
        wanted = _loads(known.get("dataJson"))
        if known.get("ignoreAbsentFields"):
            data = {name: data.get(name, value) for name, value in wanted.items()}
        state["dataJson"] = _compact(data)
        return state


def _loads(text: Any) -> Any:
    return json.loads(text) if text else {}
