"""Pools of other people: found by entry point or by `package.module:Class`, refused in a line."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from loadtests.pools import PoolOpenError, StaticPool, find_pool, foreign, open_pool
from loadtests.target import Target

TARGET = Target.model_validate(
    {
        "vault_addresses": ["https://127.0.0.1:1"],
        "vault_ca_pem": None,
        "auth": {"method": "approle", "role_id": "r", "secret_id": "s"},
        "database_mount": "database",
        "role": "orders",
        "postgres": {"host": "127.0.0.1", "port": 1, "database": "shop", "ca_pem": None},
    }
)


class Faulty:
    """A pool whose opening fails with an error that nobody has heard of."""

    def __init__(self, _target: Target, **_more: object) -> None:
        raise ZeroDivisionError("out of\nluck")

    open = connection = lease = get_stats = close = __init__


def test_class_by_module_and_name() -> None:
    """`package.module:Class` is imported."""
    assert find_pool("loadtests.pools.static:StaticPool") is StaticPool


def test_pool_of_an_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of the entry point group stands for the class it points to."""
    point = EntryPoint("theirs", "loadtests.pools.static:StaticPool", foreign.GROUP)
    monkeypatch.setattr(foreign, "entry_points", lambda **_group: [point])
    assert find_pool("theirs") is StaticPool


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("nope", "package.module:Class"),
        ("loadtests.nowhere:Pool", "ModuleNotFoundError"),
        ("loadtests.pools.static:Nobody", "has no Nobody"),
        ("loadtests.pools.static:psycopg", "lacks"),
        (":Pool", "give package.module:Class"),
        ("loadtests.pools.static:", "give package.module:Class"),
    ],
)
def test_what_is_no_pool_is_refused_in_a_line(kind: str, words: str) -> None:
    """A pool that can't be had is one line that says why."""
    with pytest.raises(PoolOpenError) as caught:
        find_pool(kind)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_foreign_error_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a foreign pool raises on opening becomes a line that names it."""
    point = EntryPoint("faulty", f"{__name__}:Faulty", foreign.GROUP)
    monkeypatch.setattr(foreign, "entry_points", lambda **_group: [point])
    with pytest.raises(PoolOpenError, match=r"^pool faulty: ZeroDivisionError: out of luck$"):
        open_pool("faulty", TARGET)
