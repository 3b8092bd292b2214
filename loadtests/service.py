"""The orders service: a small HTTP application whose every request needs the database.

    python -m loadtests.service --pool lease-aware --pools 4 --pool-size 20 --port 0

Prints one JSON line on stdout when it serves: `{"ready": true, "port": N}`. Each pool stands for
one replica; requests go to them in turn. A failed request is a 500 that names the error's class.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, NoReturn

import structlog
import waitress
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from loadtests.errors import LoadtestError
from loadtests.logs import set_up
from loadtests.pools import POOLS, Pool, PoolOpenError, find_pool, open_pool
from loadtests.secrets import redact
from loadtests.target import Target

# The schema is checked where the target is read: a name, and no more.
_INSERT = "INSERT INTO {}.orders (item, quantity) VALUES (%s, %s) RETURNING id, created_at"
_ONE = "SELECT id, item, quantity, created_at FROM {}.orders WHERE id = %s"
_NEWEST = "SELECT id, item, quantity, created_at FROM {}.orders ORDER BY id DESC LIMIT %s"
_LOG_EVERY_SECONDS = 1.0


class ServiceError(LoadtestError):
    """Raised when the service can't start: the line says why and what to change."""


def _order(row: tuple[Any, ...]) -> dict[str, Any]:
    return {"id": row[0], "item": row[1], "quantity": row[2], "created_at": row[3].isoformat()}


def application(pools: Sequence[Pool], *, table_schema: str = "orders") -> Flask:
    """Return the WSGI application over open `pools`; its table is `orders` in `table_schema`."""
    app = Flask("orders")
    insert, one, newest_first = (sql.format(table_schema) for sql in (_INSERT, _ONE, _NEWEST))
    turn = itertools.cycle(pools)
    log = structlog.get_logger("orders")
    failed_log = _Sampled(log)

    def pool() -> Pool:
        return next(turn)  # one C call: atomic under threads

    @app.post("/orders")
    def create() -> tuple[Response, int]:
        body = request.get_json(silent=True)
        match body:
            case {"item": str(item), "quantity": int(quantity)} if quantity > 0:
                pass
            case _:
                return jsonify(error="BadRequest", needs={"item": "text", "quantity": "> 0"}), 400
        with pool().connection() as connection:
            row = connection.execute(insert, (item, quantity)).fetchone()
        assert row is not None  # noqa: S101 - RETURNING
        return jsonify(_order((row[0], item, quantity, row[1]))), 201

    @app.get("/orders/<int:number>")
    def read(number: int) -> tuple[Response, int]:
        with pool().connection() as connection:
            row = connection.execute(one, (number,)).fetchone()
        return (jsonify(_order(row)), 200) if row else (jsonify(error="NotFound"), 404)

    @app.get("/orders")
    def newest() -> Response:
        limit = min(max(request.args.get("limit", 20, type=int), 1), 100)
        with pool().connection() as connection:
            rows = connection.execute(newest_first, (limit,)).fetchall()
        return jsonify([_order(row) for row in rows])

    @app.get("/healthz")
    def healthz() -> Response:
        with pool().connection() as connection:
            connection.execute("SELECT 1")
        return jsonify(serves=True)

    @app.get("/pools")
    def stats() -> Response:
        return jsonify(
            [
                {"name": each.name, "lease": each.lease(), "stats": each.get_stats()}
                for each in pools
            ]
        )

    @app.errorhandler(Exception)
    def failed(error: Exception) -> tuple[Response, int]:
        name = type(error).__name__
        if isinstance(error, HTTPException):
            return jsonify(error=name), error.code or 500
        failed_log.note(name, error)
        return jsonify(error=name, sqlstate=getattr(error, "sqlstate", None)), 500

    return app


class _Sampled:
    """Logs the first error of a class in each second, with how many came since the last line."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}
        self._since: dict[str, int] = {}

    def note(self, name: str, error: Exception) -> None:
        with self._lock:
            count = self._since[name] = self._since.get(name, 0) + 1
            if time.monotonic() - self._last.get(name, 0.0) < _LOG_EVERY_SECONDS:
                return
            self._last[name], self._since[name] = time.monotonic(), 0
        self._log.warning(
            "request failed",
            error=name,
            sqlstate=getattr(error, "sqlstate", None),
            reason=redact(" ".join(str(error).split())),
            since_last_line=count,
        )


@contextlib.contextmanager
def open_pools(
    kind: str, target: Target, *, count: int, size: int, timeout: float
) -> Iterator[list[Pool]]:
    """Open `count` pools side by side, as `count` replicas would; close them all at the end."""
    # An executor, not bare threads: a `Thread.join` that a signal interrupts takes its thread for
    # ended, and what that one opens would be left behind.
    with ThreadPoolExecutor(count, thread_name_prefix="orders-pools") as workers:
        opening = [
            workers.submit(
                open_pool, kind, target, size=size, name=f"{kind}-{number}", timeout=timeout
            )
            for number in range(1, count + 1)
        ]
        try:
            yield [one.result() for one in opening]
        finally:
            wait(opening)
            opened = [one.result() for one in opening if one.exception() is None]
            list(workers.map(lambda pool: pool.close(), opened))


class _Stop(SystemExit):
    """Raised by SIGTERM and SIGINT wherever the main thread is. A SystemExit, because waitress's
    loop swallows everything else that strikes in the middle of one of its callbacks."""


def _stop(_signal: int, _frame: object) -> NoReturn:
    # a second signal must not interrupt the revocation of the leases
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise _Stop


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ServiceError(f"--port {port}: {error.strerror}; --port 0 takes a free one") from None
    listener.listen(256)
    return listener


def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT; then finish nothing, close the pools and return."""
    target = Target.load()
    with contextlib.closing(_listen(options.host, options.port)) as listener:
        pools = open_pools(
            options.pool,
            target,
            count=options.pools,
            size=options.pool_size,
            timeout=options.pool_timeout,
        )
        with pools as opened:
            server = waitress.create_server(
                application(opened, table_schema=target.postgres.table_schema),
                sockets=[listener],
                threads=options.threads,
                ident=None,
            )
            port = listener.getsockname()[1]
            sys.stdout.write(json.dumps({"ready": True, "port": port}) + "\n")
            sys.stdout.flush()
            try:
                server.run()
            finally:
                server.close()


def _number(least: float, kind: Callable[[str], float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = kind(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{text}: it must be {least:g} or more")
        return value

    return parse


def pool_name(text: str) -> str:
    """Return `text` where it names a pool that can be had; for argparse."""
    try:
        find_pool(text)
    except PoolOpenError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.service", description=__doc__)
    whole, seconds = _number(1, int), _number(0.05, float)
    parser.add_argument("--pool", type=pool_name, default=POOLS[0], help="which pool it uses")
    parser.add_argument("--pools", type=whole, default=1, help="how many of them (replicas)")
    parser.add_argument("--pool-size", type=whole, default=20, help="connections in each")
    parser.add_argument(
        "--pool-timeout", type=seconds, default=5.0, help="seconds to wait for a connection"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=_number(0, int), default=0, help="0 takes a free one")
    parser.add_argument("--threads", type=whole, default=64, help="requests served at once")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service. Returns 0 after a signal, 2 when it could not start."""
    options = _options(arguments)
    set_up()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        serve(options)
    except LoadtestError as error:
        sys.stderr.write(redact(f"loadtests.service: {error}\n"))
        return 2
    except _Stop:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
