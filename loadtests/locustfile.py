"""What locust runs:

    locust -f loadtests/locustfile.py --headless -u 40 -t 30s

Without `--host` it starts the orders service itself, with the pool that `--pool` names, and stops
it at the end. `LOADTESTS_USER_CLASS=PoolUser` drives the pool directly instead, and `UrlUser` any
HTTP service, by the requests in `LOADTESTS_REQUESTS`.

A failed request is data: locust exits 0 all the same. Only when the load itself breaks (the
service dies, the request log can't be written) is the exit status 1, and 2 for bad input.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from locust import events
from locust.runners import WorkerRunner

from loadtests import recording
from loadtests.errors import LoadtestError
from loadtests.logs import set_up
from loadtests.pools import POOLS, open_pool
from loadtests.secrets import redact
from loadtests.serviceprocess import ServiceProcess
from loadtests.target import Target
from loadtests.users import OrdersUser, PoolUser, UrlUser

_STOP_SECONDS = 10.0
_CLASSES = {"OrdersUser": OrdersUser, "PoolUser": PoolUser, "UrlUser": UrlUser}


class _Run:
    """What this process holds while it makes load."""

    service: ServiceProcess | None = None


_run = _Run()


def _add_options(parser: Any) -> None:
    group = parser.add_argument_group("rotation-drills")
    group.add_argument("--pool", default=POOLS[0], help="pool of the service, or of PoolUser")
    group.add_argument("--pools", type=int, default=4, help="pools in the service")
    group.add_argument("--pool-size", type=int, default=20, help="connections in each pool")


def _prepare(environment: Any, **_: Any) -> None:
    try:
        _choose_users(environment)
        if not environment.stop_timeout:
            # users that are killed drop their connections in the middle of a query
            environment.stop_timeout = _STOP_SECONDS
        if UrlUser in environment.user_classes:
            UrlUser.learn(environment)
        options = environment.parsed_options
        if PoolUser in environment.user_classes:
            set_up()
            PoolUser.pool = open_pool(options.pool, Target.load(), size=options.pool_size)
        if OrdersUser in environment.user_classes and not environment.host:
            _start_service(environment)
    except LoadtestError as error:
        sys.stderr.write(redact(f"locustfile: {error}\n"))
        _clean_up()
        sys.exit(2)


def _choose_users(environment: Any) -> None:
    wanted = os.environ.get("LOADTESTS_USER_CLASS")
    options = environment.parsed_options
    if wanted and wanted not in _CLASSES:
        raise LoadtestError(f"LOADTESTS_USER_CLASS={wanted}: there are {', '.join(_CLASSES)}")
    if wanted:
        environment.user_classes = [_CLASSES[wanted]]
    elif not getattr(options, "user_classes", None) and not getattr(options, "class_picker", None):
        environment.user_classes = [OrdersUser]


def _start_service(environment: Any) -> None:
    if isinstance(environment.runner, WorkerRunner):
        raise LoadtestError("a locust worker needs --host: start the service once, for all")
    options = environment.parsed_options
    _run.service = ServiceProcess(
        Target.load(),
        f"--pool={options.pool}",
        f"--pools={options.pools}",
        f"--pool-size={options.pool_size}",
    )
    environment.host = _run.service.address


def _finish(**_: Any) -> None:
    for problem in _clean_up():
        sys.stderr.write(redact(f"locustfile: {problem}\n"))
        recording.load_broke()


def _clean_up() -> list[str]:
    """End what this process started; return what had gone wrong with it."""
    problems = []
    if PoolUser.pool is not None:
        PoolUser.pool.close()
        PoolUser.pool = None
    if _run.service is not None:
        if (died := _run.service.exit_status) is not None:
            problems.append(f"the orders service ended during the load, exit {died}")
        elif status := _run.service.stop():
            problems.append(f"the orders service did not end well, exit {status}")
        _run.service = None
    return problems


_hooks: Any = events  # locust's decorators are untyped
_hooks.init_command_line_parser.add_listener(_add_options)
_hooks.init.add_listener(_prepare)
assert recording  # noqa: S101 - its listeners log the requests, and run before ours
_hooks.quitting.add_listener(_finish)
