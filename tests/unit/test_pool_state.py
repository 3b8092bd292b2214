"""What is known of a credential: the same waits in a thread and on an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from loadtests.pools import (
    AsyncLeaseAwarePool,
    CredentialsRefused,
    CredentialsUnavailable,
    LeaseAwarePool,
)
from loadtests.pools.generation import Generation
from loadtests.pools.renewal import Lease
from loadtests.pools.state import CredentialState, Wait
from loadtests.target import Target
from loadtests.vault import AuthRefused, Issued, Token, VaultUnavailable

TARGET = Target.model_validate(
    {
        "vault_addresses": ["http://127.0.0.1:1"],
        "vault_ca_pem": None,
        "auth": {"method": "approle", "role_id": "r", "secret_id": "secret-of-a-test"},
        "database_mount": "database",
        "role": "orders",
        "postgres": {"host": "127.0.0.1", "port": 1, "database": "o", "ca_pem": None},
    }
)


def _generation(number: int, *, seconds: float = 600) -> Generation:
    now = time.monotonic()
    token = Token("hvs.of-a-test", float("inf"), 0.0, renewable=True)
    issued = Issued(f"v-{number}", "password-of-a-test", "lease/of-a-test", seconds, True, now)
    return Generation(number, issued, token, Lease(now, seconds))


def _adopt(state: CredentialState, generation: Generation) -> None:
    with state.changed:
        state.current = generation
        state.tell()


def _stop(state: CredentialState) -> None:
    with state.changed:
        state.closing = True
        state.tell()


def _in_thread(state: CredentialState, wait: Wait[Any], act: Callable[[], object]) -> Any:
    with ThreadPoolExecutor(1) as one:
        waiting: Future[Any] = one.submit(state.wait, wait)
        act()
        return waiting.result(60)


def _on_loop(state: CredentialState, wait: Wait[Any], act: Callable[[], object]) -> Any:
    async def both() -> Any:
        waiting = asyncio.create_task(state.wait_async(wait))
        await asyncio.sleep(0)  # it waits
        await asyncio.to_thread(act)
        async with asyncio.timeout(60):
            result = await waiting
        assert state._listeners == set()
        return result

    return asyncio.run(both())


Run = Callable[[CredentialState, Wait[Any], Callable[[], object]], Any]
ways = pytest.mark.parametrize("run", [_in_thread, _on_loop])


@ways
def test_who_connects_gets_the_generation_when_it_comes(run: Run) -> None:
    """A connect waits for the first generation, however long it takes."""
    state = CredentialState("of-a-test")
    assert run(state, state.taking(), lambda: _adopt(state, _generation(1))).number == 1


@ways
def test_who_connects_is_let_go_when_closing(run: Run) -> None:
    """Closing ends every wait for a credential."""
    state = CredentialState("of-a-test")
    assert run(state, state.taking(), lambda: _stop(state)) is None
    assert run(state, state.pausing(600), lambda: None) is True


@ways
def test_a_doubted_generation_is_waited_out(run: Run) -> None:
    """Who would connect with a doubted generation gets its successor."""
    state = CredentialState("of-a-test")
    _adopt(state, _generation(1))
    state.doubt(1)
    assert not state.ready(time.monotonic())
    assert state.usable(1)
    assert run(state, state.taking(), lambda: _adopt(state, _generation(2))).number in {1, 2}
    run(state, state.settling(60), lambda: _adopt(state, _generation(2)))
    assert state.ready(time.monotonic())


@ways
@pytest.mark.parametrize(
    ("error", "raised"),
    [(AuthRefused("no"), CredentialsRefused), (VaultUnavailable("away"), CredentialsUnavailable)],
)
def test_who_waits_for_a_credential_hears_why_there_is_none(
    run: Run, error: Exception, raised: type[Exception]
) -> None:
    """A refusal, or an outage beyond its grace, ends the wait with the typed error."""
    state = CredentialState("of-a-test", outage_grace=0.0)

    def fail() -> None:
        with state.changed:
            state.breaker.failed(error)
            state.tell()

    with pytest.raises(raised) as caught:
        run(state, state.obtaining(60), fail)
    assert type(caught.value) is raised


def test_a_refused_or_expired_generation_is_not_lent() -> None:
    """Neither what Postgres refused nor what is past its deadline is ever usable."""
    state = CredentialState("of-a-test")
    _adopt(state, _generation(1))
    state.refused(1)
    assert not state.usable(1)
    state.refused(1)
    assert state.counts.refusals == 1  # however many say so
    _adopt(state, _generation(2, seconds=0))
    assert not state.usable(2)
    assert not state.ready(time.monotonic())
    _adopt(state, _generation(3))
    assert state.usable(3)
    assert not state.usable(2)


def test_a_cancelled_wait_leaves_nothing() -> None:
    """A task that is cancelled while it waits is not in anybody's list afterwards."""
    state = CredentialState("of-a-test")

    async def cancel() -> None:
        waiting = [asyncio.create_task(state.wait_async(state.taking())) for _ in range(5)]
        await asyncio.sleep(0)
        assert len(state._listeners) == 5
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)

    asyncio.run(cancel())
    assert state._listeners == set()


@pytest.mark.parametrize("pool", [LeaseAwarePool, AsyncLeaseAwarePool])
def test_sizes_that_contradict_each_other_are_refused_at_construction(pool: Any) -> None:
    """min_size over max_size: psycopg_pool's own error, and nothing is started."""
    threads = threading.active_count()
    with pytest.raises(ValueError, match="max_size"):
        pool(TARGET, min_size=5, max_size=2)
    assert threading.active_count() == threads
