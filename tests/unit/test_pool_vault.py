"""The client of Vault against a scripted server: which answer becomes which error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from loadtests.target import Target
from loadtests.vault import (
    AuthRefused,
    LeaseGone,
    RequestRefused,
    Token,
    VaultClient,
    VaultError,
    VaultUnavailable,
)
from tests.unit.scripted_vault import Scripted

TOKEN = Token("hvs.of-a-test-4711", float("inf"), 0.0, renewable=True)
LEASE = "database/creds/orders/of-a-test-4711"


@pytest.fixture
def nodes() -> Iterator[list[Scripted]]:
    """Two scripted servers."""
    both = [Scripted(), Scripted()]
    for one in both:
        threading.Thread(target=one.serve_forever, args=(0.01,), daemon=True).start()
    yield both
    for one in both:
        one.shutdown()
        one.server_close()


def _client(nodes: list[Scripted], **changes: Any) -> VaultClient:
    return VaultClient(
        Target.model_validate(
            {
                "vault_addresses": [one.address for one in nodes],
                "vault_ca_pem": None,
                "auth": {"method": "approle", "role_id": "r", "secret_id": "secret-of-a-test"},
                "database_mount": "database",
                "role": "orders",
                "postgres": {"host": "db", "port": 5432, "database": "o", "ca_pem": None},
                **changes,
            }
        ),
        connect_timeout=0.5,
        read_timeout=0.5,
    )


@pytest.mark.parametrize(
    ("status", "call", "error"),
    [
        (400, "login", AuthRefused),
        (403, "login", AuthRefused),
        (403, "issue", AuthRefused),
        (403, "renew", AuthRefused),
        (400, "renew", LeaseGone),
        (400, "issue", RequestRefused),
        (404, "issue", RequestRefused),
        *((status, "renew", VaultUnavailable) for status in (307, 412, 429, 472, 500, 502, 503)),
        *((status, "issue", VaultUnavailable) for status in (412, 429, 500, 503)),
    ],
)
def test_each_answer_has_its_error(
    nodes: list[Scripted], status: int, call: str, error: type[VaultError]
) -> None:
    """Refused, gone and unavailable are told apart by status and operation."""
    for one in nodes:
        one.status, one.body = status, {"errors": ["as scripted"]}
    with pytest.raises(error) as caught:
        _make(_client(nodes), call)
    assert type(caught.value) is error
    assert caught.value.status == status


def _make(client: VaultClient, call: str) -> None:
    if call == "login":
        client.login()
    elif call == "issue":
        client.issue(TOKEN)
    else:
        client.renew(TOKEN, LEASE, 60)


@pytest.mark.parametrize("status", [412, 472, 500, 502, 503])
def test_the_next_address_is_asked_at_once_and_stays_first(
    nodes: list[Scripted], status: int
) -> None:
    """A sealed or leaderless node costs one request, not one at every call."""
    nodes[0].status = status
    nodes[1].body = {"lease_duration": 60}
    client = _client(nodes)
    assert client.renew(TOKEN, LEASE, 60)[1] == 60
    assert client.renew(TOKEN, LEASE, 60)[1] == 60
    assert (len(nodes[0].asked), len(nodes[1].asked)) == (1, 2)


def test_a_rate_limit_is_not_driven_around(nodes: list[Scripted]) -> None:
    """429 is said once, with Vault's Retry-After; the other nodes are not asked."""
    nodes[0].status, nodes[0].headers = 429, {"Retry-After": "7"}
    with pytest.raises(VaultUnavailable) as caught:
        _make(_client(nodes), "issue")
    assert caught.value.retry_after == 7
    assert nodes[1].asked == []


def test_after_retry_after_nothing_is_sent_before_its_time(nodes: list[Scripted]) -> None:
    """What Vault says of one request holds for all: logins, leases, renewals, revocations."""
    nodes[0].status, nodes[0].headers = 429, {"Retry-After": "600"}
    client = _client(nodes)
    with pytest.raises(VaultUnavailable):
        client.renew(TOKEN, LEASE, 60)
    calls: list[Callable[[], object]] = [
        client.login,
        lambda: client.issue(TOKEN),
        lambda: client.renew(TOKEN, LEASE, 60),
        lambda: client.renew_token(TOKEN),
        lambda: client.revoke(TOKEN, LEASE),
        lambda: client.revoke_token(TOKEN),
    ]
    for call in calls:
        with pytest.raises(VaultUnavailable, match="not sent") as caught:
            call()
        assert caught.value.retry_after == pytest.approx(600, abs=300)
    assert len(nodes[0].asked) == 1
    assert nodes[1].asked == []


def test_retry_after_ends(nodes: list[Scripted]) -> None:
    """Once its time is over requests are sent again."""
    nodes[0].status, nodes[0].headers = 429, {"Retry-After": "0.05"}
    client = _client(nodes)
    with pytest.raises(VaultUnavailable):
        client.issue(TOKEN)
    nodes[0].status, nodes[0].body = 200, {"lease_duration": 60}
    threading.Event().wait(0.1)
    assert client.renew(TOKEN, LEASE, 60)[1] == 60


def test_an_issue_that_may_have_been_carried_out_is_not_repeated_at_once(
    nodes: list[Scripted],
) -> None:
    """After a read timeout Vault may have made the role: one call never mints two."""
    nodes[0].shutdown()  # it still accepts, and answers nothing
    client = _client(nodes)
    with pytest.raises(VaultUnavailable, match="no answer within"):
        client.issue(TOKEN)
    assert nodes[1].asked == []
    nodes[1].body = {"lease_duration": 60}
    assert client.renew(TOKEN, LEASE, 60)[1] == 60  # and the next call begins elsewhere


def test_a_redirect_is_not_followed_with_the_token(nodes: list[Scripted]) -> None:
    """A token goes to the target's own addresses only."""
    nodes[0].status, nodes[0].headers = 307, {"Location": nodes[1].address + "/v1/elsewhere"}
    with pytest.raises(VaultUnavailable):
        _client(nodes[:1]).renew(TOKEN, LEASE, 60)
    assert nodes[1].asked == []


def test_the_namespace_goes_with_each_request(nodes: list[Scripted]) -> None:
    """A target's namespace is sent as Vault wants it."""
    nodes[0].body = {"lease_duration": 60}
    _client(nodes, namespace="team/a").renew(TOKEN, LEASE, 60)
    headers = {key.lower(): value for key, value in nodes[0].asked[0][2].items()}
    assert headers["x-vault-namespace"] == "team/a"
    assert headers["x-vault-token"] == TOKEN.value


def test_an_error_that_echoes_a_secret_is_struck_out(nodes: list[Scripted]) -> None:
    """Whatever a server says, the error that leaves the client holds no secret."""
    nodes[0].body = {
        "auth": {"client_token": "hvs.echoed-token", "lease_duration": 60, "renewable": True}
    }
    client = _client(nodes[:1])
    token = client.login()
    nodes[0].status, nodes[0].body = 400, {"errors": ["bad hvs.echoed-token secret-of-a-test"]}
    with pytest.raises(RequestRefused) as caught:
        client.issue(token)
    assert "[token] [secret-id]" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "hvs." not in repr(token)


def test_no_address_that_answers_is_unavailable(nodes: list[Scripted]) -> None:
    """Connections refused are an outage, with the address named."""
    client = _client(nodes)
    for one in nodes:
        one.shutdown()
        one.server_close()
    with pytest.raises(VaultUnavailable, match=nodes[1].address):
        _make(client, "renew")
    for one in nodes:  # the fixture closes them once more
        one.socket.close()
