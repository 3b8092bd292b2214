"""The lease thread against a scripted Vault."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from loadtests.pools.keeper import LeaseKeeper
from loadtests.pools.state import CredentialState
from loadtests.target import Target
from loadtests.vault import Token, VaultClient, VaultUnavailable
from tests.unit.scripted_vault import Scripted

WELL = {
    "auth": {"client_token": "hvs.of-a-test-4711", "lease_duration": 36000, "renewable": True},
    "data": {"username": "v-of-a-test", "password": "password-of-a-test"},
    "lease_id": "database/creds/orders/of-a-test-4711",
    "lease_duration": 3600,
    "renewable": True,
}
REVOKE = ("PUT", "/v1/sys/leases/revoke")
TOKEN = Token("hvs.of-a-test-4711", float("inf"), 0.0, renewable=True)


@pytest.fixture
def node() -> Iterator[Scripted]:
    """A Vault that grants everything."""
    one = Scripted()
    one.body = WELL
    threading.Thread(target=one.serve_forever, args=(0.01,), daemon=True).start()
    yield one
    one.shutdown()
    one.server_close()


def _kept(node: Scripted) -> tuple[LeaseKeeper, CredentialState, VaultClient]:
    target = Target.model_validate(
        {
            "vault_addresses": [node.address],
            "vault_ca_pem": None,
            "auth": {"method": "approle", "role_id": "r", "secret_id": "secret-of-a-test"},
            "database_mount": "database",
            "role": "orders",
            "postgres": {"host": "db", "port": 5432, "database": "o", "ca_pem": None},
        }
    )
    vault, state = VaultClient(target), CredentialState("of-a-test")
    keeper = LeaseKeeper(
        vault,
        state,
        verify=lambda _: None,
        adopted=lambda _: None,
        gave_up=lambda _: None,
        sessions=lambda _: 0,
    )
    keeper.start()
    assert state.wait(state.obtaining(60))
    return keeper, state, vault


def _until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def _asked(node: Scripted) -> list[tuple[str, str]]:
    return [(method, path) for method, path, _ in node.asked]


def _limit(node: Scripted, vault: VaultClient, seconds: str) -> None:
    node.status, node.headers = 429, {"Retry-After": seconds}
    with pytest.raises(VaultUnavailable):
        vault.renew(TOKEN, "lease", 60)
    node.status, node.headers = 200, {}


def test_a_pause_that_is_short_is_waited_out_to_give_back(node: Scripted) -> None:
    """Closed within Vault's Retry-After, the lease is given back once that is over."""
    keeper, _, vault = _kept(node)
    _limit(node, vault, "0.2")
    keeper.close(30)
    assert REVOKE in _asked(node)


def test_a_pause_that_is_long_is_honoured_at_the_end_too(node: Scripted) -> None:
    """Where it is longer than the close may take, nothing is sent: the lease ends by itself."""
    keeper, _, vault = _kept(node)
    before = len(node.asked) + 1
    _limit(node, vault, "600")
    keeper.close(0.1)
    assert len(node.asked) == before


def test_a_refused_credential_is_not_replaced_before_its_time(node: Scripted) -> None:
    """Not even a credential that Postgres refuses makes the pool ask within Retry-After."""
    keeper, state, vault = _kept(node)
    _limit(node, vault, "600")
    asked = len(node.asked)
    state.refused(1)
    _until(lambda: state.counts.issue_failures)
    assert len(node.asked) == asked
    keeper.close(0.1)


def test_one_generation_is_issued_however_many_say_that_it_is_dead(node: Scripted) -> None:
    """Twenty threads that notice at once make one issuance, and the old lease is revoked."""
    keeper, state, _ = _kept(node)
    threads = [threading.Thread(target=state.refused, args=(1,)) for _ in range(20)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    _until(lambda: state.number == 2)
    _until(lambda: state.counts.revocations == 1)
    assert state.counts.issues == 2
    assert state.counts.logins == 1
    keeper.close(5)
    assert state.counts.revocations == 2
