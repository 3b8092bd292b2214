"""One real stack a session, shared by every test that only needs one to be there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from live_stack import LiveStack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    """A stack that is up. Tests leave it as whole as they found it."""
    live = LiveStack(tmp_path_factory.mktemp("stack"))
    try:
        live.create()
        yield live
    finally:
        live.destroy()
