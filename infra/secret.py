"""Marks outputs as secret: Pulumi encrypts them in the state and masks them on the terminal."""

from __future__ import annotations

from typing import TypeVar, cast

import pulumi

T = TypeVar("T")


def secret(value: pulumi.Output[T]) -> pulumi.Output[T]:
    """Return `value` as a secret, with its type kept."""
    return cast("pulumi.Output[T]", pulumi.Output.secret(cast("pulumi.Input[object]", value)))
