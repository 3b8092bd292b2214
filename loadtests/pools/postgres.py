"""How pools reach Postgres, and what a failed connect means."""

from __future__ import annotations

import re
from typing import Any

import psycopg

from loadtests.certificates import pem_file
from loadtests.target import Postgres

# libpq keeps no SQLSTATE of a connect that failed, so the server's words must do. They are in the
# language of the server's lc_messages; Vault's own clients have the same limit.
_REFUSED = re.compile(
    r"password authentication failed for user"  # 28P01
    r"|is not permitted to log in"  # 28000
    r'|role "[^"]*" does not exist'  # 28000
)
_TOO_MANY = re.compile(r"too many (connections|clients)|remaining connection slots")  # 53300


def connect_arguments(target: Postgres, *, application_name: str) -> dict[str, Any]:
    """Return psycopg's keyword arguments for everything but user and password.

    A server that no longer answers is noticed within about 5 s: by `connect_timeout` on a new
    connection, by `tcp_user_timeout` and keepalives on one in use.
    """
    found: dict[str, Any] = {
        "host": target.host,
        "port": target.port,
        "dbname": target.database,
        "application_name": application_name,
        "client_encoding": "UTF8",
        "connect_timeout": 5,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "tcp_user_timeout": 5000,
    }
    if target.ca_pem:
        found |= {"sslmode": "verify-full", "sslrootcert": str(pem_file(target.ca_pem))}
    return found


def credential_refused(error: psycopg.OperationalError) -> bool:
    """Say whether the connect failed because Postgres does not take this login (28P01, 28000)."""
    return _REFUSED.search(str(error)) is not None


def too_many_connections(error: psycopg.OperationalError) -> bool:
    """Say whether the connect failed for want of a slot (53300): no new login would help."""
    return _TOO_MANY.search(str(error)) is not None
