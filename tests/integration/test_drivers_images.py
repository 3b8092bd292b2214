"""The images that driver docker makes out of local programs, run by testcontainers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from test_drivers import why_no_docker
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.waiting_utils import WaitStrategy, WaitStrategyTarget

from infra.cluster import engine
from infra.cluster.docker import program_image
from infra.cluster.docker_postgres import gather
from infra.waiting import wait_for
from tools import postgres
from tools.binaries import resolve

_REASON = why_no_docker()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(_REASON is not None, reason=f"no Docker here: {_REASON}"),
]
_CONFIG = json.dumps(
    {
        "storage": {"inmem": {}},
        "listener": {"tcp": {"address": "0.0.0.0:8200", "tls_disable": True}},
        "disable_mlock": True,
    }
)


class AnswersSealed(WaitStrategy):
    """Vault answers and is sealed: exit status 2 of `vault status`.

    The library's own HTTP strategy takes 200 for ready, whatever else it is told to wait for.
    """

    def wait_until_ready(self, container: WaitStrategyTarget) -> None:
        wrapped = container.get_wrapped_container()

        def ended() -> str | None:
            wrapped.reload()  # without it the status is the one of its creation
            return None if wrapped.status in {"created", "running"} else "it has ended"

        wait_for(
            lambda: container.exec(["/bin/vault", "status"]).exit_code == 2,
            "Vault answering in its container",
            seconds=60,
            every=0.5,
            still_possible=ended,
        )


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """A network of the test's own; no reaper, whose image would have to be fetched."""
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    with Network() as made:
        yield made


def test_programs_run_in_empty_images_and_find_each_other(network: Network) -> None:
    """Vault answers out of an empty root, through a Toxiproxy of another, by its alias."""
    client = engine.connect()
    vault = (
        DockerContainer(program_image(client, resolve("vault"), at="/bin/vault"))
        .with_kwargs(entrypoint=["/bin/vault", "server", "-config=/tmp/vault.json"])
        .with_copy_into_container(_CONFIG.encode(), "/tmp/vault.json")  # noqa: S108 - of the container
        .with_env("VAULT_ADDR", "http://127.0.0.1:8200")
        .with_network(network)
        .with_network_aliases("vault")
        .waiting_for(AnswersSealed())
    )
    proxy = (
        DockerContainer(program_image(client, resolve("toxiproxy"), at="/bin/toxiproxy"))
        .with_kwargs(entrypoint=["/bin/toxiproxy", "-host", "0.0.0.0"])  # noqa: S104 - of the container
        .with_network(network)
        .with_exposed_ports(8474, 8001)
    )
    with vault, proxy:
        api = f"http://127.0.0.1:{proxy.get_exposed_port(8474)}"
        table = [{"name": "vault", "listen": "0.0.0.0:8001", "upstream": "vault:8200"}]
        wait_for(lambda: _answers(f"{api}/version"), "Toxiproxy answering", seconds=60)
        assert httpx.post(f"{api}/populate", json=table).status_code == httpx.codes.CREATED
        through = f"http://127.0.0.1:{proxy.get_exposed_port(8001)}/v1/sys/health"
        assert httpx.get(through, timeout=20).status_code == 501  # not initialised


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def test_gathered_postgres_holds_all_that_it_needs(network: Network) -> None:
    """`initdb` and a query run in the gathered root: every library, time zones and a shell."""
    client = engine.connect()
    binaries = postgres.resolve()
    tag = "rotation-drills/postgres:of-a-test"
    gather(binaries, (70, 70)).become(client, tag)
    bin_dir = binaries.bin_dir
    script = (
        f"{bin_dir}/initdb -D /postgres/data --no-sync >/dev/null && "
        f"echo \"SELECT 'it is ' || (now() AT TIME ZONE 'Europe/Berlin')::date\" | "
        f"{bin_dir}/postgres --single -D /postgres/data postgres"
    )
    try:
        said = client.containers.run(
            tag, ["-c", script], entrypoint=["/bin/sh"], user="70:70", remove=True
        )
        assert b"it is" in said
    finally:
        client.images.remove(tag, force=True)
