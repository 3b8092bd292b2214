"""`Generation`: one credential in the life of a pool."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from loadtests.pools.renewal import Lease
from loadtests.vault import Issued, Token


@dataclass(frozen=True)
class Generation:
    """One credential: its number, the login that made it, and what bounds it."""

    number: int
    issued: Issued
    token: Token
    lease: Lease

    @cached_property
    def deadline(self) -> float:
        """From here on it is not lent any more (`time.monotonic()`); each checkout asks."""
        return self.lease.deadline

    @property
    def username(self) -> str:
        """The dynamic role's name; no secret."""
        return self.issued.username


@dataclass
class Counts:
    """What happened so far. `refusals` are generations that Postgres refused."""

    logins: int = 0
    issues: int = 0
    issue_failures: int = 0
    renewals: int = 0
    renewal_failures: int = 0
    revocations: int = 0
    refusals: int = 0


class Refused(Exception):
    """Raised when Postgres refuses a credential at connect: the caller refreshes it once and
    tries again; when the credential is a new one, Vault and Postgres disagree."""
