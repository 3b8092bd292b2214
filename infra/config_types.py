"""What the parts of a stack's configuration are made of."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = r"(\d+)([smhd])"


def _seconds(value: Any) -> int:
    found = re.fullmatch(_DURATION, str(value))
    if not found:
        raise ValueError(
            f"{value!r} is not a duration: give a number with its unit, such as 60s, 5m"
        )
    return int(found.group(1)) * _UNITS[found.group(2)]


#: Whole seconds, written as a number with its unit.
Duration = Annotated[
    int,
    BeforeValidator(_seconds),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION}$"}),
]


class Part(BaseModel):
    """An object of the configuration: no key but its own, nothing changed after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
