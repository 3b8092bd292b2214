"""The tables of docs/BENCHMARKS.md say what bench/results.json holds."""

from __future__ import annotations

import json
from pathlib import Path

from loadtests.policies import POLICIES
from loadtests.pools import POOLS
from tests.bench import table

ROOT = Path(__file__).parents[2]


def test_the_document_is_the_rendered_results() -> None:
    """Nobody edits a figure by hand: document and results come from one run."""
    results = json.loads((ROOT / "bench" / "results.json").read_text(encoding="utf-8"))
    document = (ROOT / "docs" / "BENCHMARKS.md").read_text(encoding="utf-8")
    assert table.put_into(document, results) == document


def test_every_pool_and_policy_has_its_figures() -> None:
    """A new pool or policy can't come without its figures."""
    results = json.loads((ROOT / "bench" / "results.json").read_text(encoding="utf-8"))
    assert set(results["revocation"]["pools"]) == set(POOLS)
    assert set(results["cost"]["pools"]) == set(POOLS)
    assert set(results["storms"]["simulated"]["policies"]) == set(POLICIES)
