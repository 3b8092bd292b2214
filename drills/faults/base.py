"""What a fault is: inject, undo, verify; and what it may touch."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from drills.database import Database
from drills.redact import Secrets
from drills.vault import Vault
from infra.cluster.abilities import Ability
from infra.cluster.driver import ClusterDriver
from infra.platform import Platform

Record = dict[str, Any]
Observe = Callable[..., Any]


class Fleet(Protocol):
    """The drill's fleet of lease clients, as a fault sees it."""

    def restart(self) -> float:
        """End every client as a crash would, and start all anew at once.

        Returns when the last one had ended (monotonic seconds). Raises `FaultError`.
        """
        ...


@dataclass(frozen=True)
class Scene:
    """Everything a fault may reach. `observe` writes a sample to the run folder. `fleet` is None
    for a load of another kind, and where a fault is undone without its runner.

    `stopping` is set when the run ends while a fault is still being injected: an injection that
    takes more than a few seconds looks at it between its steps and returns early.
    """

    platform: Platform
    cluster: ClusterDriver
    vault: Vault
    database: Database
    secrets: Secrets
    observe: Observe
    stopping: threading.Event = field(default_factory=threading.Event)
    fleet: Fleet | None = None


class FaultParams(BaseModel):
    """Parameters of a fault in a drill file; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


P = TypeVar("P", bound=FaultParams)


class Fault(ABC, Generic[P]):
    """One kind of fault, with its parameters.

    Order of a run: `prepare` (touches nothing, returns the record), the record is written to
    disk, `inject`, …, `undo`, `verify`. `undo` and `verify` get by with the record alone: they may
    run in another process after the runner's death, and more than once.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[Ability]] = frozenset()  # what the stack's driver must be able to
    params_model: ClassVar[type[FaultParams]]

    def __init__(self, params: P) -> None:
        self.params = params

    @abstractmethod
    def prepare(self, scene: Scene) -> Record:
        """Choose the target; return what `undo` needs to know, free of secrets.

        Raises `FaultError` when there is nothing to inject into.
        """

    @abstractmethod
    def inject(self, scene: Scene, record: Record) -> None:
        """Do it. Raises `FaultError` or the lower layer's error; it is undone in any case."""

    @abstractmethod
    def undo(self, scene: Scene, record: Record) -> None:
        """Take it back; no error when it was never injected. Can be repeated."""

    @abstractmethod
    def verify(self, scene: Scene, record: Record) -> list[str]:
        """Return what is still wrong after `undo`, one line each; nothing when all is well."""

    def by_hand(self, record: Record) -> str:
        """Return how to undo it by hand, for the day when `undo` fails."""
        return f"{self.name}: nothing to undo by hand ({record})"
