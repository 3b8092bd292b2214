"""What the load does: users of the orders service, and users that drive a pool directly."""

from __future__ import annotations

import random
import time
from collections import deque
from typing import ClassVar

from locust import FastHttpUser, User, constant, task

from loadtests.pools import Pool

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
        body = {"item": "drill", "quantity": random.randint(1, 9)}  # noqa: S311 - no secret
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
