"""What a fleet makes of Vault's answers, on a Vault of a few lines behind plain HTTP."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from loadtests.fleet import Fleet, FleetError, main
from loadtests.policies import POLICIES
from loadtests.target import AppRole, Postgres, Target, TokenFile

Answer = tuple[int, dict[str, Any]]
LOGIN = {"auth": {"client_token": "hvs.of-a-test", "lease_duration": 3600, "renewable": True}}


def lease(seconds: float) -> dict[str, Any]:
    """Return what Vault says of a new credential."""
    return {
        "lease_id": "database/creds/orders/of-a-test",
        "lease_duration": seconds,
        "renewable": True,
        "data": {"username": "v-of-a-test", "password": "password-of-a-test"},
    }


@contextmanager
def vault(answer: Callable[[str, int], Answer]) -> Iterator[tuple[str, Counter[str]]]:
    """Serve `answer(operation, how many of it so far)`; yield the address and the counts."""
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    class Server(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            operation = {"login": "login", "renew": "renew", "orders": "issue"}.get(
                self.path.rsplit("/", 1)[-1], "revoke"
            )
            with lock:
                seen[operation] += 1
                number = seen[operation]
            status, body = answer(operation, number)
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST = _answer  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def target(address: str, **changes: Any) -> Target:
    """Return a target whose Vault is at `address`."""
    return Target(
        **{
            "vault_addresses": [address],
            "vault_ca_pem": None,
            "auth": AppRole(role_id="role", secret_id="secret-of-a-test"),
            "database_mount": "database",
            "role": "orders",
            "postgres": Postgres(host="127.0.0.1", port=1, database="orders", ca_pem=None),
            **changes,
        }
    )


def live(
    answer: Callable[[str, int], Answer],
    *,
    seconds: float = 1.5,
    clients: int = 1,
    policy: str = "lease-aware",
) -> tuple[dict[str, Any], Counter[str]]:
    """Let a fleet live against `answer`; return its counts and the server's."""
    with vault(answer) as (address, seen):
        fleet = Fleet(target(address), clients=clients, policy=policy)

        async def run() -> dict[str, Any]:
            return await fleet.run(seconds, asyncio.Event())

        return asyncio.run(run()), seen


def well(operation: str, _number: int) -> Answer:
    """A Vault that grants one second each time."""
    return 200, LOGIN if operation == "login" else lease(1)


def test_the_counts_are_those_of_the_server() -> None:
    """What is printed is what was asked, less the try before the start."""

    def answer(operation: str, _number: int) -> Answer:
        return 200, LOGIN if operation == "login" else lease(6)

    counts, seen = live(answer, clients=5, seconds=5)
    assert counts["failures"] == {}
    assert counts["lost_leases"] == 0
    assert counts["logins"] == seen["login"] - 1 == 5
    assert counts["issues"] == seen["issue"] - 1 == 5
    # what was under way as the time was over may have reached the server, or not
    unfinished = counts["unfinished"].get("renew", 0)
    assert counts["renewals"] - unfinished <= seen["renew"] <= counts["renewals"]
    assert counts["renewals"] >= 5
    assert seen["revoke"] == 6  # each login is ended


@pytest.mark.parametrize(("policy", "gives_back"), [("lease-aware", True), ("vso", False)])
def test_a_rotation_gives_the_old_lease_back_where_the_real_client_does(
    policy: str, gives_back: bool
) -> None:
    """The reference pool revokes what it has replaced; the others leave it to its end."""

    def short(operation: str, number: int) -> Answer:
        if operation == "login":
            return 200, LOGIN
        # the second lease is issued for good: one rotation
        return 200, lease(600 if operation == "issue" and number > 2 else 1 / number)

    counts, seen = live(short, seconds=4, policy=policy)
    assert counts["rotations"] == 1
    assert seen["revoke"] == 2 + gives_back  # two logins are ended


def test_a_lease_that_is_gone_is_lost_and_replaced() -> None:
    """400 to a renewal costs one lost lease and one new one."""

    def answer(operation: str, number: int) -> Answer:
        if operation == "renew" and number == 1:
            return 400, {"errors": ["lease not found"]}
        return well(operation, number)

    counts, _ = live(answer)
    assert counts["lost_leases"] == 1
    assert counts["rotations"] == 1
    assert counts["failures"] == {"renew: LeaseGone": 1}


def test_a_login_that_is_refused_is_taken_anew() -> None:
    """403 to a renewal: log in again, and another lease."""

    def answer(operation: str, number: int) -> Answer:
        if operation == "renew" and number == 1:
            return 403, {"errors": ["permission denied"]}
        return well(operation, number)

    counts, _ = live(answer)
    assert counts["logins"] == 2
    assert counts["issues"] == 2


def test_an_outage_within_the_lease_loses_nothing() -> None:
    """503 is retried at the policy's pace, and no lease is asked for meanwhile."""

    def answer(operation: str, number: int) -> Answer:
        if operation == "renew" and number <= 2:
            return 503, {"errors": ["sealed"]}
        return (200, LOGIN) if operation == "login" else (200, lease(4))

    counts, _ = live(answer, seconds=4)
    assert counts["failures"] == {"renew: VaultUnavailable": 2}
    assert counts["lost_leases"] == 0
    assert counts["issues"] == 1


def test_a_truncated_renewal_rotates() -> None:
    """Less than was asked for: another lease at once, before this one ends."""

    def answer(operation: str, number: int) -> Answer:
        if operation == "renew" and number == 1:
            return 200, lease(1)
        return (200, LOGIN) if operation == "login" else (200, lease(3))

    counts, _ = live(answer, seconds=3)
    assert counts["rotations"] == 1
    assert counts["lost_leases"] == 0


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_a_vault_that_is_not_there_is_said(policy: str) -> None:
    """Nothing listens: one line, whatever the policy."""
    fleet = Fleet(target("http://127.0.0.1:9"), clients=3, policy=policy)
    with pytest.raises(FleetError, match=r"login: http://127\.0\.0\.1:9: ConnectError"):
        asyncio.run(fleet.run(5, asyncio.Event()))


def test_a_token_file_is_refused() -> None:
    """All clients would share, and in the end revoke, a login that is somebody else's."""
    auth = TokenFile(method="token-file", path="/nowhere")  # type: ignore[arg-type]
    fleet = Fleet(target("http://127.0.0.1:9", auth=auth), clients=2, policy="vso")
    with pytest.raises(FleetError, match="logins of its own"):
        asyncio.run(fleet.run(5, asyncio.Event()))


@pytest.mark.parametrize(
    "arguments", [["--clients", "0"], ["--seconds", "inf"], ["--policy", "nobody's"]]
)
def test_bad_arguments_are_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """They are said before anything is asked of anybody."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err
