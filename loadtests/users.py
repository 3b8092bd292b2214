"""What the load does: users of the orders service, of any HTTP service, and of a pool directly."""

from __future__ import annotations

import json
import os
import random
import time
from collections import deque
from typing import Any, ClassVar
from uuid import uuid4

from locust import FastHttpUser, User, constant, task

from loadtests.errors import LoadtestError
from loadtests.pools import Pool

REQUESTS_VARIABLE = "LOADTESTS_REQUESTS"
_WAIT_SECONDS = 0.08
"""40 users at this pace make about 450 requests/s, which two cores hold beside the platform."""


class OrdersUser(FastHttpUser):
    """Places orders and reads them: one write to three reads."""

    wait_time = constant(_WAIT_SECONDS)
    connection_timeout = 5.0
    network_timeout = 15.0  # longer than the service lets a request wait for a connection
    _placed: ClassVar[deque[int]] = deque(maxlen=500)

    @task(1)
    def place(self) -> None:
        """Place an order."""
        # an item of its own: what is written twice can be counted
        body = {"item": f"drill-{uuid4().hex}", "quantity": random.randint(1, 9)}  # noqa: S311 - no secret
        response = self.client.post("/orders", json=body, name="place")
        if response.status_code == 201:
            self._placed.append(response.json()["id"])

    @task(2)
    def read(self) -> None:
        """Read an order that was placed; the list, while there is none."""
        if not self._placed:
            self.list()
            return
        number = random.choice(self._placed)  # noqa: S311
        self.client.get(f"/orders/{number}", name="read")

    @task(1)
    def list(self) -> None:
        """Read the newest orders."""
        self.client.get("/orders?limit=10", name="list")


class UrlUser(FastHttpUser):
    """Sends requests of a list to any HTTP service, each at random. An answer of 400 or more is a
    failed request."""

    connection_timeout = 5.0
    network_timeout = 15.0
    asked: ClassVar[list[tuple[str, str]]] = []
    body: ClassVar[dict[str, Any] | None] = None
    pause: ClassVar[float] = _WAIT_SECONDS

    @classmethod
    def learn(cls, environment: Any) -> None:
        """Read the list from `LOADTESTS_REQUESTS`: `{"requests": ["GET /x"], "body": {…} or null,
        "wait": seconds}`. Raises `LoadtestError`."""
        try:
            told = json.loads(os.environ.get(REQUESTS_VARIABLE, '{"requests": ["GET /"]}'))
            cls.asked = [(method, path) for method, _, path in map(_parted, told["requests"])]
            cls.body, cls.pause = told.get("body"), float(told.get("wait", _WAIT_SECONDS))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LoadtestError(
                f'{REQUESTS_VARIABLE}: {error}: give {{"requests": ["GET /path"]}}'
            ) from None
        if not environment.host:
            raise LoadtestError("UrlUser needs --host: the service it drives")

    def wait_time(self) -> float:
        """Return the seconds between two requests."""
        return self.pause

    @task
    def ask(self) -> None:
        """Send one of the requests."""
        method, path = random.choice(self.asked)  # noqa: S311 - no secret
        body = self.body if method in {"POST", "PUT", "PATCH"} else None
        self.client.request(method, path, json=body, name=f"{method} {path}")


def _parted(line: str) -> tuple[str, str, str]:
    method, space, path = line.partition(" ")
    if not path.startswith("/"):
        raise ValueError(f"{line!r} is no request")
    return method, space, path


class PoolUser(User):
    """Drives a pool without HTTP in between: what the client library itself can do."""

    wait_time = constant(0)
    pool: ClassVar[Pool | None] = None

    @task
    def query(self) -> None:
        """Run one statement on a connection of the pool."""
        assert self.pool is not None  # noqa: S101 - set by the locustfile before users start
        problem: Exception | None = None
        start = time.monotonic()
        try:
            with self.pool.connection() as connection:
                connection.execute("SELECT 1")
        except Exception as error:  # noqa: BLE001 - whatever a pool raises is a measurement
            problem = error
        self.environment.events.request.fire(
            request_type="SQL",
            name="query",
            response_time=(time.monotonic() - start) * 1000,
            response_length=0,
            exception=problem,
            context={"start": start},
        )
