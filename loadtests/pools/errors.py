"""What a lease-aware pool raises beside psycopg_pool's own `PoolClosed` and `PoolTimeout`.

All are `psycopg.OperationalError`s, so that an application's `except` clauses go on working.
"""

from __future__ import annotations

import psycopg


class CredentialsUnavailable(psycopg.OperationalError):
    """Raised, at once, when there is no credential that may be used and Vault does not give one.

    `getconn` raises it from the deadline of the last lease on until Vault is back; the pool tries
    by itself. Answer 503, or try again after a second."""


class CredentialsRefused(CredentialsUnavailable):
    """Raised when Vault answers, but refuses: the login, the role, the mount; or when Postgres
    refuses the very credential that Vault has just made. Put the set-up right; the pool goes on
    trying, ever slower."""


class ConnectFailed(psycopg.OperationalError):
    """Raised by `wait` when Vault gave a credential but Postgres could not be reached with it:
    the message has libpq's reason. Check address, database name and certificate authority."""
