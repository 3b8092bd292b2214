"""What the parts of a drill file have in common: strict models and a few kinds of value."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from drills import durations

Seconds = Annotated[float, BeforeValidator(durations.parse), Field(gt=0)]
Positive = Annotated[int, Field(ge=1)]
Line = Annotated[str, Field(min_length=1, pattern=r"^\S[^\n]*$")]


class Part(BaseModel):
    """A map of keys in a drill file. Strict: a mistyped key or value must never pass."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
