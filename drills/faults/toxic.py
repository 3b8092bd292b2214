"""What the faults on the network share: a toxic on some proxies of the fault proxy."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from typing import ClassVar, Literal, TypeVar

from drills.errors import FaultError
from drills.faults.base import Fault, FaultParams, Record, Scene
from drills.faults.lines import Line, open_lines
from drills.toxiproxy import Toxiproxy
from infra.waiting import WaitedTooLong, wait_for

BOTH_WAYS = ("upstream", "downstream")


class NodesParams(FaultParams):
    """`nodes`: `all`, `leader`, or a node's name."""

    nodes: Literal["all", "leader"] | str = "all"


N = TypeVar("N", bound=FaultParams)
NodesP = TypeVar("NodesP", bound=NodesParams)


def chosen_nodes(scene: Scene, nodes: str, fault: str) -> list[str]:
    """Return the nodes that `nodes` means now. Raises `FaultError` when it means none."""
    if nodes == "all":
        return list(scene.vault.nodes)
    name = scene.vault.active_node() if nodes == "leader" else nodes
    if name not in scene.vault.nodes:
        known = ", ".join(scene.vault.nodes)
        raise FaultError(f"{fault}: there is no node {nodes!r} now; known: {known}")
    return [name]


class ToxicFault(Fault[N]):
    """A toxic of this fault's own name on each chosen proxy, and the proof that it bites.

    `hit` looks at a connection that was open before: one that is not hit is a failed injection.
    """

    needs = frozenset({"proxy"})
    kind: ClassVar[str]
    streams: ClassVar[tuple[str, ...]] = ("downstream",)

    @abstractmethod
    def proxies(self, scene: Scene) -> list[str]:
        """Return the proxies to put the toxic on."""

    @abstractmethod
    def attributes(self) -> dict[str, int]:
        """Return the toxic's attributes."""

    @abstractmethod
    def hit(self, line: Line) -> str | None:
        """Return what a line that the toxic missed did, None when it was hit."""

    def prepare(self, scene: Scene) -> Record:
        """Choose the proxies; each must be there and let through."""
        toxiproxy = Toxiproxy(scene.platform.proxy.api)
        proxies = self.proxies(scene)
        for proxy in proxies:
            found = toxiproxy.proxy(proxy)
            if not found["enabled"] or found["toxics"]:
                raise FaultError(
                    f"{self.name}: proxy {proxy} is disturbed already: run `drill recover`, or "
                    "end the toxiproxy process and run `pulumi up`"
                )
        names = [f"drill-{self.name}-{stream}" for stream in self.streams]
        return {"proxies": proxies, "toxics": dict(zip(names, self.streams, strict=True))}

    def inject(self, scene: Scene, record: Record) -> None:
        """Add the toxics, and see that lines that were open before are hit."""
        toxiproxy = Toxiproxy(scene.platform.proxy.api)
        with open_lines(scene, record["proxies"]) as lines:
            for proxy in record["proxies"]:
                for toxic, stream in record["toxics"].items():
                    toxiproxy.add(proxy, toxic, self.kind, self.attributes(), stream=stream)
            missed = {line.proxy: found for line in lines if (found := self.hit(line))}
        if missed:
            raise FaultError(f"{self.name} did not hit connections that were open: {missed}")

    def undo(self, scene: Scene, record: Record) -> None:
        """Take the toxics away."""
        toxiproxy = Toxiproxy(scene.platform.proxy.api)
        for proxy in record["proxies"]:
            for toxic in record["toxics"]:
                toxiproxy.remove(proxy, toxic)

    def verify(self, scene: Scene, record: Record) -> list[str]:
        """Look for toxics, and wait up to 10 s for an answer through each proxy."""
        toxiproxy = Toxiproxy(scene.platform.proxy.api)
        left = [
            f"toxic {toxic} is still on proxy {proxy}"
            for proxy in record["proxies"]
            for toxic in toxiproxy.toxics(proxy)
            if toxic in record["toxics"]
        ]
        return left or answers(scene, record["proxies"])

    def by_hand(self, record: Record) -> str:
        """Name the calls that take the toxics away."""
        return (
            f"{self.name}: send DELETE /proxies/NAME/toxics/TOXIC to the fault proxy for {record}"
        )


class NodesFault(ToxicFault[NodesP]):
    """A toxic on the way to Vault's nodes that `nodes` names."""

    params_model: ClassVar[type[FaultParams]] = NodesParams

    def proxies(self, scene: Scene) -> list[str]:
        """Return the proxies of the chosen nodes; each is called as its node is."""
        return chosen_nodes(scene, self.params.nodes, self.name)


def answers(scene: Scene, proxies: list[str], *, seconds: float = 10) -> list[str]:
    """Return a line for each proxy through which no answer comes within `seconds`."""

    def through(proxy: str) -> bool:
        with contextlib.suppress(FaultError), open_lines(scene, [proxy]):
            return True
        return False

    problems = []
    for proxy in proxies:
        try:
            wait_for(lambda name=proxy: through(name), f"{proxy}'s answer", seconds=seconds)  # type: ignore[misc]
        except WaitedTooLong as error:
            problems.append(f"through the fault proxy: {error}")
    return problems
