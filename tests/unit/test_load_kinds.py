"""The kinds of load: told apart by a key, written back as they were read, refused in one line."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_world import platform
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.definition import DefinitionError, Drill, find_drill, parse_drill
from drills.errors import SetupError
from drills.loads import FleetLoad, LocustfileLoad, ServiceLoad, UrlLoad
from drills.loads.instead import with_policy, with_target


def drill_with(load: Any) -> Drill:
    """A drill of the catalog with another load."""
    raw = find_drill("forced-expiry").model_dump()
    return parse_drill({**raw, "load": load}, "mine.yaml")


def refused(load: Any) -> str:
    """The line with which a load is refused."""
    with pytest.raises(DefinitionError) as caught:
        drill_with(load)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize(
    ("load", "kind"),
    [
        ({"service": "orders", "users": 4, "pools": 1}, ServiceLoad),
        ({"fleet": 10}, FleetLoad),
        ({"fleet": 10, "service": "orders", "ttl": "10s", "max_ttl": "1m"}, FleetLoad),
        ({"url": "http://localhost:8000", "users": 4}, UrlLoad),
        ({"url": "https://[::1]/a?b=1", "users": 4, "service": "orders"}, UrlLoad),
        ({"url": "http://a", "users": 1, "requests": ["GET /x", "POST /y"]}, UrlLoad),
        ({"url": "http://a", "users": 1, "body": {"n": [1, None]}, "wait": "1s"}, UrlLoad),
        ({"locustfile": "a/b.py", "users": 4}, LocustfileLoad),
    ],
)
def test_a_key_tells_the_kind(load: dict[str, Any], kind: type) -> None:
    """The key tells the kind, and what is written to run.json reads back as the same."""
    drill = drill_with(load)
    assert type(drill.load) is kind
    assert parse_drill(drill.model_dump(), "run.json") == drill
    assert "\n" not in drill.load.words("lease-aware") + drill.load.client("lease-aware")


@pytest.mark.parametrize(
    ("load", "line"),
    [
        ({}, "mine.yaml: load: one of these keys is wanted: fleet, locustfile, service, url"),
        ({"fleet": 1, "url": "http://a"}, "mine.yaml: load: fleet and url exclude each other"),
        ({"fleet": 0}, "mine.yaml: load.fleet: "),
        ({"fleet": 1, "polcy": "vso"}, "load.polcy: unknown key (did you mean policy?)"),
        ({"fleet": 1, "policy": "vos"}, "load.policy: unknown value 'vos' (did you mean vso?)"),
        ({"fleet": 1, "ttl": "10s"}, "load: ttl and max_ttl are given together"),
        ({"fleet": 1, "ttl": "10s", "max_ttl": "5s"}, "load: ttl is longer than max_ttl"),
        ({"fleet": 1, "ttl": "1500ms", "max_ttl": "5s"}, "whole seconds"),
        ({"fleet": 1, "ttl": 10, "max_ttl": "20s"}, "load.ttl: unit missing"),
        ({"url": "localhost:8000", "users": 1}, "load.url: a URL like http://host:port/path"),
        ({"url": "http://a:99999", "users": 1}, "load.url: a URL like"),
        ({"url": "http://a b", "users": 1}, "load.url: a URL like"),
        ({"url": "http://a"}, "load.users: missing"),
        ({"url": "http://a", "users": 1, "requests": ["/x"]}, "load.requests[0]: "),
        ({"url": "http://a", "users": 1, "requests": ["BREW /x"]}, "load.requests[0]: "),
        ({"locustfile": "a.py,b.py", "users": 1}, "load: one file is wanted"),
        ({"locustfile": "a.py"}, "load.users: missing"),
    ],
)
def test_a_wrong_load_is_one_line(load: dict[str, Any], line: str) -> None:
    """What can't be a load is refused in one line that names the key."""
    assert line in refused(load)


def test_a_url_with_a_password_is_refused_and_not_repeated() -> None:
    """A password in a URL would be in the run folder: refused, and not in the refusal either."""
    line = refused({"url": "http://me:hunter2hunter2@a/", "users": 1})
    assert "no user or password" in line
    assert "hunter2" not in line


def test_a_target_takes_the_place_of_a_load() -> None:
    """--target keeps users and service, and asks the URL's own path."""
    drill = with_target(find_drill("forced-expiry"), "http://localhost:8000/orders?limit=10")
    assert isinstance(drill.load, UrlLoad)
    assert (drill.load.users, drill.load.service) == (40, "orders")
    assert drill.load.host == "http://localhost:8000"
    assert drill.load.asked == ("GET /orders?limit=10",)
    assert drill.load.foreign


def test_a_target_that_is_none() -> None:
    """--target refuses what is no URL, and a drill whose clients are what is drilled."""
    with pytest.raises(SetupError, match=r"^--target: a URL like"):
        with_target(find_drill("forced-expiry"), "localhost")
    with pytest.raises(SetupError, match="drills a fleet"):
        with_target(find_drill("storm-after-outage"), "http://localhost")


def test_a_policy_is_a_fleet_s() -> None:
    """--policy is for fleets, and for policies that exist."""
    load = with_policy(find_drill("storm-after-outage"), "vso").load
    assert isinstance(load, FleetLoad)
    assert load.policy == "vso"
    with pytest.raises(SetupError, match="no policy 'vos'"):
        with_policy(find_drill("storm-after-outage"), "vos")
    with pytest.raises(SetupError, match="is no fleet"):
        with_policy(find_drill("forced-expiry"), "vso")


def test_the_policies_are_those_that_exist() -> None:
    """A drill file may name each policy that a fleet knows, and no other."""
    from typing import get_args

    from drills.loads.fleet import Policy
    from loadtests.policies import POLICIES

    assert set(get_args(Policy)) == set(POLICIES)


def test_the_first_service_unless_told(tmp_path: Path) -> None:
    """Without `service` the stack's first is meant; one that it does not have is refused."""
    stack = platform(tmp_path)
    assert FleetLoad(fleet=1).service_of(stack).name == "orders"
    with pytest.raises(SetupError, match=r"load\.service: stack test has no service 'bills'"):
        FleetLoad(fleet=1, service="bills").service_of(stack)


class _Answers(http.server.BaseHTTPRequestHandler):
    """404 for /none, else 200."""

    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    """A service that answers."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, name="answers", daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_url_that_answers(address: str) -> None:
    """A service that answers is let in; one that is asked only by POST is not sent one."""
    UrlLoad(url=address, users=1).check()
    UrlLoad(url=address, users=1, requests=("POST /none",)).check()


def test_a_url_that_fails_before_the_drill(address: str) -> None:
    """What is answered with 404 before anything is broken is refused."""
    with pytest.raises(SetupError, match="is answered with 404 before anything is broken"):
        UrlLoad(url=f"{address}/none", users=1).check()


def test_a_url_that_does_not_answer() -> None:
    """Nobody there: one line, and what to do."""
    with pytest.raises(SetupError, match=r"does not answer .*: start the service"):
        UrlLoad(url="http://127.0.0.1:9/", users=1).check()


def test_a_locustfile_is_looked_at(tmp_path: Path) -> None:
    """A file that is not there, breaks, or has no user is refused in one line, and no other."""
    good, broken, empty = (tmp_path / f"{name}.py" for name in ("good", "broken", "empty"))
    with pytest.raises(SetupError, match="there is no such file"):
        LocustfileLoad(locustfile=str(good), users=1).check()
    good.write_text("from locust import User, task\nclass U(User):\n  @task\n  def t(self): ...\n")
    LocustfileLoad(locustfile=str(good), users=1).check()
    broken.write_text("import nothing_of_that_name\n")
    empty.write_text("import time\n")
    for path, words in ((broken, "nothing_of_that_name"), (empty, "has no User class")):
        with pytest.raises(SetupError, match=words) as caught:
            LocustfileLoad(locustfile=str(path), users=1).check()
        assert len(str(caught.value).splitlines()) == 1


KEYS = st.sampled_from(
    "fleet url locustfile service users pools ttl max_ttl requests body".split()  # noqa: SIM905
)
VALUES = (
    st.none()
    | st.integers(-1, 3)
    | st.sampled_from(
        ["orders", "http://a/b", "10s", "x.py", ["GET /"], {"a": 1}, "", "http://[", float("nan")]
    )
)


@settings(deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_keys_are_a_load_or_a_line(load: dict[str, Any]) -> None:
    """Whatever the keys hold, it is a load that reads back as itself, or one line."""
    said, drill = "", None
    try:
        drill = drill_with(load)
    except DefinitionError as error:
        said = str(error)
    assert drill is None or parse_drill(drill.model_dump(), "run.json") == drill
    assert len(said.splitlines()) == (drill is None)
