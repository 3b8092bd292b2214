"""The Docker engine, by its own SDK: images out of local files, containers found by their names."""

from __future__ import annotations

import contextlib
import functools
import io
import struct
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.cluster.process import ProcessError
from infra.waiting import wait_for
from tools.errors import ToolError

_HINT = "start the Docker engine, or take driver local"


def connect() -> Any:
    """Return a client of the engine that DOCKER_HOST (or the usual socket) names.

    Raises `ToolError` in one line when the SDK is not installed or no engine answers.
    """
    try:
        import docker  # noqa: PLC0415 - only this driver needs it
    except ImportError:
        raise ToolError("docker: the Python package docker is not installed: add it") from None
    try:
        engine = docker.from_env(timeout=120)
        engine.ping()
    except Exception as error:  # noqa: BLE001 - the SDK lets requests' and OSError through as well
        raise ToolError(f"docker: no engine answers ({type(error).__name__}): {_HINT}") from None
    return engine


def find(engine: Any, name: str) -> Any | None:
    """Return the container, or None."""
    from docker.errors import NotFound  # noqa: PLC0415

    try:
        return engine.containers.get(name)
    except NotFound:
        return None


def running(engine: Any, name: str) -> bool:
    """Return whether the container's process runs, paused or not."""
    container = find(engine, name)
    return container is not None and container.status in {"running", "paused"}


def last_words(engine: Any, name: str, lines: int = 3) -> str:
    """Return the end of the container's log in one line, for an error message."""
    container = find(engine, name)
    if container is None:
        return f"there is no container {name}"
    text = container.logs(tail=lines).decode(errors="replace")
    return f"{' | '.join(text.strip().splitlines())} (docker logs {name})"


def start(engine: Any, name: str, image: str, *, network: str, alias: str, **options: Any) -> None:
    """Start the container, made with `options` if there is none; no error when it runs.

    On `network` the others know it as `alias`.
    """
    container = find(engine, name)
    if container is None:
        container = engine.containers.create(
            image,
            name=name,
            detach=True,
            network=network,
            networking_config={network: engine.api.create_endpoint_config(aliases=[alias])},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            **options,
        )
    if container.status == "paused":
        container.unpause()
    else:
        container.start()


def kill(engine: Any, name: str) -> None:
    """SIGKILL the container's process; no error when it does not run."""
    container = find(engine, name)
    if container is None or container.status not in {"running", "paused"}:
        return
    if container.status == "paused":
        container.unpause()  # a frozen process can't be killed
    with contextlib.suppress(_gone()):
        container.kill()
    wait_for(lambda: not running(engine, name), f"the end of {name}", seconds=20)


def remove(engine: Any, network: str, names: list[str]) -> None:
    """Remove the containers of these names, their volumes, and the network if it is empty then."""
    for name in names:
        container = find(engine, name)
        if container is not None:
            with contextlib.suppress(_gone()):
                container.remove(force=True, v=True)
        with contextlib.suppress(_gone()):
            engine.volumes.get(volume(name)).remove()
    with contextlib.suppress(_gone()):  # others may still be on it; the last one takes it away
        engine.networks.get(network).remove()


def volume(container: str) -> str:
    """Return the name of a container's volume."""
    return f"{container}-data"


def _gone() -> type[Exception]:
    from docker.errors import APIError  # noqa: PLC0415

    error: type[Exception] = APIError
    return error


def make_network(engine: Any, name: str) -> None:
    """Make the stack's own bridge network, unless it is there."""
    with contextlib.suppress(_gone()):  # two resources of a stack may be at it at once
        if not [each for each in engine.networks.list(names=[name]) if each.name == name]:
            engine.networks.create(name, driver="bridge", check_duplicate=True)


def duration(seconds: float) -> int:
    """Return nanoseconds, the engine's unit."""
    return int(seconds * 1e9)


# -- images ---------------------------------------------------------------------------------------


class Root:
    """A file system that becomes an image without a base: what Docker calls FROM scratch."""

    def __init__(self) -> None:
        self.files: dict[str, Path] = {}
        self._made: list[tuple[tarfile.TarInfo, bytes]] = []

    def add(self, path: Path, at: str | None = None) -> None:
        """Add a file of this machine, links followed."""
        self.files[(at or str(path)).lstrip("/")] = path.resolve()

    def folder(self, at: str, *, owner: tuple[int, int], mode: int) -> None:
        """Add an empty folder; a volume that is mounted there takes its owner and mode over."""
        info = tarfile.TarInfo(at.lstrip("/"))
        info.type, info.mode = tarfile.DIRTYPE, mode
        info.uid, info.gid = owner
        self._made.append((info, b""))

    def text(self, at: str, text: str) -> None:
        """Add a small file with this text."""
        info = tarfile.TarInfo(at.lstrip("/"))
        info.mode, info.size = 0o644, len(text.encode())
        self._made.append((info, text.encode()))

    @contextlib.contextmanager
    def _tar(self) -> Iterator[Any]:
        with tempfile.TemporaryFile() as file:
            with tarfile.open(fileobj=file, mode="w") as archive:
                for info, content in self._made:
                    archive.addfile(info, io.BytesIO(content))
                for at, path in self.files.items():
                    info = archive.gettarinfo(path, arcname=at)
                    info.uid = info.gid = 0
                    info.uname = info.gname = ""
                    with path.open("rb") as source:
                        archive.addfile(info, source)
            file.seek(0)
            yield file

    def become(self, engine: Any, tag: str) -> None:
        """Make the image `name:version`, unless the engine has it."""
        from docker.errors import ImageNotFound  # noqa: PLC0415

        try:
            engine.images.get(tag)
        except ImageNotFound:
            repository, _, version = tag.rpartition(":")
            with self._tar() as file:
                # `docker import`: no builder, no base, owners as they are in the archive
                engine.api.import_image_from_data(file, repository=repository, tag=version)


def check_static(program: Path) -> None:
    """Raise `ToolError` for a program that needs a loader: an empty image has none."""
    with program.open("rb") as file:
        head = file.read(64)
        if head[:4] != b"\x7fELF" or head[4] != 2:
            raise ToolError(f"docker: {program} is no 64-bit ELF program: no image is made of it")
        (offset,) = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        file.seek(offset)
        table = file.read(size * count)
    kinds = {struct.unpack_from("<I", table, at)[0] for at in range(0, len(table), size)}
    if _PT_INTERP in kinds:
        raise ToolError(
            f"docker: {program} is linked dynamically, so it can't run in an empty image: build it "
            "with CGO_ENABLED=0, or unset its variable and let it be built"
        )


_PT_INTERP = 3


@functools.cache
def libraries(program: Path) -> tuple[Path, ...]:
    """Return the shared libraries and the loader that a program needs, by `ldd`."""
    told = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    if "not a dynamic executable" in told.stdout + told.stderr or told.returncode:
        return ()
    found = []
    for line in told.stdout.splitlines():
        words = line.replace("=>", " ").split()
        paths = [word for word in words if word.startswith("/")]
        if "not found" in line:
            raise ProcessError(f"docker: {program} lacks the library {words[0]}")
        found += [Path(path) for path in paths[-1:]]
    return tuple(found)
