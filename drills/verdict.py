"""What a run is judged to be: the models behind verdict.json, and the exit statuses."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

BoundVerdict = Literal["pass", "fail", "inconclusive"]
RunVerdict = Literal["pass", "fail", "inconclusive", "aborted", "undo-failed", "interrupted"]

EXIT: dict[RunVerdict, int] = {
    "pass": 0,
    "fail": 99,
    "inconclusive": 3,
    "aborted": 4,
    "undo-failed": 5,
    "interrupted": 130,
}


class BoundResult(BaseModel):
    """One bound, judged. An infinite `observed` is written as null; `detail` has the evidence."""

    model_config = ConfigDict(frozen=True)

    name: str
    phase: str
    observed: int | float | None
    limit: int | float | None
    verdict: BoundVerdict
    detail: str


class Verdict(BaseModel):
    """verdict.json. `reason`: why the run ended so, in one line; empty where bounds decided."""

    model_config = ConfigDict(frozen=True)

    drill: str
    run: str
    stack: str
    pool: str
    verdict: RunVerdict
    exit: int
    reason: str
    bounds: tuple[BoundResult, ...]
    figures: dict[str, int | float | None]
    versions: dict[str, str]
    started: str
    seconds: float
