"""`ttl`, `max_ttl` of a load: how long leases of its role live while the drill runs."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from drills.loads.base import Load
from drills.parts import Seconds


class TermsLoad(Load):
    """A load whose clients begin with the drill, so that all their leases can have other TTLs than
    the role's own. Given together, or not at all; put back after the drill."""

    ttl: Seconds | None = None
    max_ttl: Seconds | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.ttl is None) != (self.max_ttl is None):
            raise ValueError("ttl and max_ttl are given together")
        if self.ttl is not None and self.max_ttl is not None:
            if self.ttl > self.max_ttl:
                raise ValueError("ttl is longer than max_ttl")
            if self.ttl % 1 or self.max_ttl % 1:
                raise ValueError("ttl and max_ttl are whole seconds, as Vault's are")
        return self
