"""The provider protocol around a backend: everything that Vault and Postgres have in common."""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent import futures
from typing import Any, NoReturn, Protocol

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from tools.offline_plugins import check, diff, sdk, state, wire
from tools.offline_plugins.spec import Spec

_MAX_MESSAGE = 400 * 1024 * 1024
_WORKERS = 32
_PARENT_POLL_SECONDS = 1.0
_ENGINE_OPTIONS = {"version", "pluginDownloadURL", "__internal", "__defaults"}


class UnsupportedTypeError(LookupError):
    """The stand-in doesn't serve this type; the published plugin does."""

    def __init__(self, token: str, package: str, version: str) -> None:
        super().__init__(
            f"{token}: the offline stand-in does not serve this type; the published plugin "
            f"pulumi-resource-{package} v{version} does"
        )


class ResourceError(RuntimeError):
    """A call on the server failed; the message is one line and holds no secret."""


class Kind(Protocol):
    """One resource type on a configured backend. State and inputs are plain values."""

    @property
    def spec(self) -> Spec:
        """The type's data."""

    def create(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make it; raises ResourceError, and then nothing is left behind."""

    def read(self, identifier: str, olds: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """What is there now, None when it is gone; `olds` is empty for an import."""

    def update(self, identifier: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        """Change it in place; raises ResourceError, and then the old state may be half changed."""

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """Remove it; what is gone already counts as removed."""


class Backend(Protocol):
    """A configured Vault or Postgres."""

    package: str

    def configure(self, config: dict[str, Any]) -> None:
        """Take the provider's configuration; makes no connection yet."""

    def kind(self, token: str) -> Kind | None:
        """The type behind a token, None for one that is not served."""

    def close(self) -> None:
        """End connections and tokens made on the way; safe to call twice."""


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """The engine's calls, translated."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._sdk = f"pulumi_{backend.package}"
        self._version = sdk.plugin_version(self._sdk)

    # The names below are the protocol's.
    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True,
            accept_resources=False,
            accept_outputs=False,
            supports_autonaming_configuration=True,
        )

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=self._version)

    def GetSchema(self, request: Any, context: Any) -> Any:  # noqa: N802
        text = f'{{"name": "{self._backend.package}", "version": "{self._version}"}}'
        return provider_pb2.GetSchemaResponse(schema=text)

    def Attach(self, request: Any, context: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        news = wire.decode(request.news)
        known = sdk.provider_config(self._sdk)
        failures = [
            provider_pb2.CheckFailure(property=name, reason="no such property")
            for name in news.values
            if name not in known and name not in _ENGINE_OPTIONS
        ]
        for name, value in news.values.items():
            try:
                check.convert_config(known, {name: value})
            except ValueError as error:
                failures.append(provider_pb2.CheckFailure(property=name, reason=str(error)))
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        olds, news = wire.decode(request.olds).values, wire.decode(request.news).values
        names = sorted(
            name for name in {*olds, *news} - _ENGINE_OPTIONS if olds.get(name) != news.get(name)
        )
        changed = provider_pb2.DiffResponse.DiffChanges
        return provider_pb2.DiffResponse(
            changes=changed.DIFF_SOME if names else changed.DIFF_NONE, diffs=names
        )

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        values = wire.decode(request.args).values
        known = {name: value for name, value in values.items() if not wire.has_unknown(value)}
        try:
            config = check.convert_config(sdk.provider_config(self._sdk), known)
            self._backend.configure(config)
        except (ValueError, ResourceError) as error:
            _fail(context, error)
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, supports_autonaming_configuration=True
        )

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        kind, schema = self._find(request.urn, context)
        options = request.autonaming
        modes = provider_pb2.CheckRequest.AutonamingOptions.Mode
        naming = check.Naming(
            logical_name=request.name or request.urn.rsplit("::", 1)[1],
            seed=request.randomSeed,
            proposed=options.proposed_name,
            disabled=options.mode == modes.DISABLE,
        )
        news, olds = wire.decode(request.news), wire.decode(request.olds)
        checked, failures = check.check(schema, kind.spec, news, olds, naming)
        return provider_pb2.CheckResponse(
            inputs=wire.encode(checked.values, checked.secrets),
            failures=[
                provider_pb2.CheckFailure(property=f.property, reason=f.reason) for f in failures
            ],
        )

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        kind, schema = self._find(request.urn, context)
        olds, news = wire.decode(request.olds).values, wire.decode(request.news).values
        changes = diff.diff(schema, kind.spec, olds, news, request.ignoreChanges)
        kinds = provider_pb2.PropertyDiff.Kind
        detailed = {}
        for change in changes:
            suffix = "_REPLACE" if change.replaces else ""
            detailed[change.name] = provider_pb2.PropertyDiff(
                kind=kinds.Value(change.kind.upper() + suffix)
            )
        replaces = sorted({str(change.path[0]) for change in changes if change.replaces})
        answer = provider_pb2.DiffResponse.DiffChanges
        return provider_pb2.DiffResponse(
            changes=answer.DIFF_SOME if changes else answer.DIFF_NONE,
            diffs=sorted({str(change.path[0]) for change in changes}),
            replaces=replaces,
            detailedDiff=detailed,
            hasDetailedDiff=True,
            deleteBeforeReplace=bool(replaces) and diff.keeps_name(schema, olds, news),
        )

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        kind, schema = self._find(request.urn, context)
        bag = wire.decode(request.properties)
        if request.preview:
            outputs = state.preview_of_create(schema, kind.spec, bag.values)
            return provider_pb2.CreateResponse(
                id="", properties=_sealed(schema, kind.spec, outputs, bag.secrets)
            )
        try:
            identifier, raw = kind.create(wire.without_internals(bag.values))
        except ResourceError as error:
            _fail(context, error)
        outputs = state.shape(schema, kind.spec, identifier, raw)
        return provider_pb2.CreateResponse(
            id=identifier, properties=_sealed(schema, kind.spec, outputs, bag.secrets)
        )

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        kind, schema = self._find(request.urn, context)
        olds, inputs = wire.decode(request.properties), wire.decode(request.inputs)
        try:
            found = kind.read(request.id, olds.values)
        except ResourceError as error:
            _fail(context, error)
        if found is None:
            return provider_pb2.ReadResponse(id="")
        identifier, raw = found
        if wire.META in olds.values:
            raw = {**raw, wire.META: olds.values[wire.META]}
        outputs = state.shape(schema, kind.spec, identifier, raw)
        secrets = {*olds.secrets, *inputs.secrets}
        if olds.values:
            news = state.refreshed_inputs(schema, kind.spec, inputs.values, outputs)
        else:
            news = state.imported_inputs(schema, kind.spec, outputs)
        return provider_pb2.ReadResponse(
            id=identifier,
            properties=_sealed(schema, kind.spec, outputs, secrets),
            inputs=_sealed(schema, kind.spec, news, secrets),
        )

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        kind, schema = self._find(request.urn, context)
        olds, news = wire.decode(request.olds), wire.decode(request.news)
        if request.preview:
            outputs = state.preview_of_update(schema, kind.spec, olds.values, news.values)
            return provider_pb2.UpdateResponse(
                properties=_sealed(schema, kind.spec, outputs, {*olds.secrets, *news.secrets})
            )
        try:
            plain = wire.without_internals(news.values)
            raw = kind.update(request.id, wire.without_internals(olds.values), plain)
        except ResourceError as error:
            _fail(context, error)
        if wire.META in olds.values:
            raw = {**raw, wire.META: olds.values[wire.META]}
        outputs = state.shape(schema, kind.spec, request.id, raw)
        return provider_pb2.UpdateResponse(
            properties=_sealed(schema, kind.spec, outputs, news.secrets)
        )

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        kind, _ = self._find(request.urn, context)
        try:
            kind.delete(request.id, wire.without_internals(wire.decode(request.properties).values))
        except ResourceError as error:
            _fail(context, error)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        _fail(context, UnsupportedTypeError(request.tok, self._backend.package, self._version))

    def _find(self, urn: str, context: Any) -> tuple[Kind, sdk.Schema]:
        token = urn.split("::")[2].rsplit("$", 1)[-1]
        try:
            kind = self._backend.kind(token)
            if kind is None:
                raise UnsupportedTypeError(token, self._backend.package, self._version)
            return kind, sdk.schema(token)
        except LookupError as error:
            _fail(context, error)


def _sealed(schema: sdk.Schema, spec: Spec, values: dict[str, Any], secrets: set[wire.Path]) -> Any:
    """Properties with every secret wrapped: the SDK's, the type's, those that came in as one."""
    paths: set[wire.Path] = {(name,) for name in schema.secrets if name in values}
    for dotted in spec.secrets:
        first, _, second = dotted.partition(".")
        block = values.get(first)
        if isinstance(block, dict) and block.get(second) is not None:
            paths.add((first, second))
    for path in secrets:
        cut = next((i for i, part in enumerate(path) if isinstance(part, int)), len(path))
        paths.add(path[:cut])
    return wire.encode(values, paths)


def _fail(context: Any, error: Exception) -> NoReturn:
    context.abort(grpc.StatusCode.UNKNOWN, str(error))
    raise AssertionError


def serve(backend: Backend, engine: int) -> None:
    """Serve until told to end, or until the parent process `engine` is gone; prints the port."""
    server = grpc.server(
        futures.ThreadPoolExecutor(_WORKERS, thread_name_prefix=f"{backend.package}-plugin"),
        options=[
            ("grpc.max_receive_message_length", _MAX_MESSAGE),
            ("grpc.max_send_message_length", _MAX_MESSAGE),
        ],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(backend), server)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while not ended.wait(_PARENT_POLL_SECONDS) and os.getppid() == engine:
        pass  # an engine that was killed says nothing: its child has a new parent then
    server.stop(grace=1).wait()
    backend.close()
