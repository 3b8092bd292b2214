"""`pulumi-language-python`: the part of the Pulumi CLI that runs Python programs.

A CLI built from its Go module comes without it. It serves the engine's `LanguageRuntime`
(pulumi/proto/pulumi/language.proto) on a free port, which it prints, until it is told to stop.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent import futures
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any

import grpc
from google.protobuf import empty_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

_MESSAGE_SIZE = 400 * 1024 * 1024  # the engine's own limit (pulumi/sdk/go/common/util/rpcutil)


def _interpreter(info: Any) -> str:
    """Return the Python of the project's `virtualenv` option, else this one."""
    virtualenv = MessageToDict(info.options).get("virtualenv")
    if virtualenv:
        python = Path(info.root_directory, virtualenv, "bin", "python")
        if python.exists():
            return str(python)
    return sys.executable


def _required_plugins() -> list[tuple[str, str, str]]:
    """Return (name, version, server) of each installed package that says it needs a plugin."""
    found = []
    for distribution in metadata.distributions():
        for file in distribution.files or ():
            if file.name == "pulumi-plugin.json":
                told = json.loads(Path(str(distribution.locate_file(file))).read_text())
                if told.get("resource"):
                    version = told.get("version") or distribution.version
                    found.append((told["name"], f"v{version.lstrip('v')}", told.get("server", "")))
    return found


class PythonLanguage(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs one program at a time, each in a process of its own."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._running: set[subprocess.Popen[str]] = set()
        self._plugins: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Take the engine's address, where it is given here rather than as an argument."""
        self._engine = request.engine_address or self._engine
        return language_pb2.LanguageHandshakeResponse()

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Name the plugins of the packages that are installed beside the program."""
        packages = [
            plugin_pb2.PackageDependency(name=name, kind="resource", version=version, server=server)
            for name, version, server in _required_plugins()
        ]
        return language_pb2.GetRequiredPackagesResponse(packages=packages)

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Run the program to its end; `bail` says that it has reported its own failure."""
        entry = Path(request.info.program_directory, request.info.entry_point)
        job = {
            "program": str(entry),
            "args": list(request.args),
            "pwd": request.pwd,
            "project": request.project,
            "stack": request.stack,
            "organization": request.organization,
            "root_directory": request.info.root_directory,
            "dry_run": request.dryRun,
            "parallel": request.parallel,
            "monitor": request.monitor_address,
            "engine": self._engine,
            "config": dict(request.config),
            "secret_keys": list(request.configSecretKeys),
        }
        program = subprocess.Popen(
            [_interpreter(request.info), "-Pu", "-m", "tools.language_host.execute"],
            stdin=subprocess.PIPE,
            text=True,
            cwd=request.pwd or None,
        )
        with self._lock:
            self._running.add(program)
        try:
            # By a pipe: the configuration may hold secrets, which arguments would show.
            program.communicate(json.dumps(job))
        finally:
            with self._lock:
                self._running.discard(program)
        if program.returncode == 0:
            return language_pb2.RunResponse()
        if program.returncode == 32:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"the program ended with status {program.returncode}")

    def RunPlugin(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Run a policy pack to its end, its output handed on as it comes."""
        program = subprocess.Popen(
            [
                *(_interpreter(request.info), "-Pu", "-m", "pulumi.policy"),
                *(*request.args, request.info.program_directory),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=dict(each.partition("=")[::2] for each in request.env) or None,
            cwd=request.info.program_directory or None,
        )
        with self._lock:
            self._plugins.add(program)
        context.add_callback(program.terminate)  # the engine is done with it
        try:
            assert program.stdout is not None  # noqa: S101 - it is a pipe
            while line := program.stdout.readline():
                yield language_pb2.RunPluginResponse(stdout=line)
            yield language_pb2.RunPluginResponse(exitcode=program.wait())
        finally:
            with self._lock:
                self._plugins.discard(program)

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Tell the version, which is the SDK's."""
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def About(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Tell which Python runs programs."""
        return language_pb2.AboutResponse(
            executable=_interpreter(request.info), version=sys.version.split()[0]
        )

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:  # noqa: N802
        """List what is installed beside the program."""
        named = {item.name: item.version for item in metadata.distributions()}
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[
                language_pb2.DependencyInfo(name=name, version=version)
                for name, version in sorted(named.items())
            ]
        )

    def InstallDependencies(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Say that `make setup` installs them: a lock file with hashes is not pip's business."""
        yield language_pb2.InstallDependenciesResponse(
            stdout=b"dependencies are installed by `make setup`, from requirements.txt\n"
        )

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Ask nothing."""
        return language_pb2.RuntimeOptionsResponse()

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Interrupt the programs that run."""
        self.interrupt()
        return empty_pb2.Empty()

    def interrupt(self) -> None:
        """Send SIGTERM to each program that still runs."""
        with self._lock:
            for program in self._running:
                program.terminate()
            for plugin in self._plugins:
                plugin.terminate()


def main() -> None:
    """Serve until SIGINT or SIGTERM; the engine's address is the last argument."""
    engine = sys.argv[-1] if len(sys.argv) > 1 else os.environ.get("PULUMI_ENGINE", "")
    language = PythonLanguage(engine)
    size = [("grpc.max_receive_message_length", _MESSAGE_SIZE)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=size)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(language, server)
    port = server.add_insecure_port("127.0.0.1:0")
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    server.start()
    print(port, flush=True)  # noqa: T201 - the protocol: the engine reads the port here
    stopped.wait()
    language.interrupt()
    server.stop(grace=None)


if __name__ == "__main__":
    main()
