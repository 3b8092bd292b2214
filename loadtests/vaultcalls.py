"""What is asked of Vault and what its answers mean, whatever carries them.

`loadtests.vault` sends these calls over requests for a pool, `loadtests.fleetvault` over httpx for
a fleet. No text that leaves this module holds a password, token, secret id or lease id: errors are
made from the status and the operation.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

from loadtests.secrets import handled, redact
from loadtests.target import AppRole, Jwt, Target, TokenFile

TRY_LATER = frozenset({307, 412, 429, 472, 473, 500, 501, 502, 503, 504})
"""Statuses that say nothing about the request: a node, or Vault, can't answer now."""


class VaultError(Exception):
    """Base of what a call to Vault can raise. `status` is the HTTP status, or None."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(redact(message))
        self.status = status


class VaultUnavailable(VaultError):
    """Raised when no address gave an answer that counts: unreachable, sealed, no leader, over its
    rate limit. Try again later, not before `retry_after` seconds where that is set."""

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class AuthRefused(VaultError):
    """Raised when Vault refuses the login, or says 403 to its token: log in again once, and if
    that is refused too, put the auth method or the policy right."""


class LeaseGone(VaultError):
    """Raised when a lease can't be renewed because it is revoked or expired: take a new one."""


class RequestRefused(VaultError):
    """Raised when Vault calls the request itself wrong (no such role or mount): trying again
    will not help, the target's `role` or `database_mount` must be put right."""


@dataclass(frozen=True)
class Token:
    """A login. Times are `time.monotonic()`; `expires_at` is infinite for a token without end."""

    value: str = field(repr=False)
    expires_at: float
    ttl_seconds: float
    renewable: bool
    ours: bool = True  # made by our login, so ours to revoke; a token file's is not


@dataclass(frozen=True)
class Issued:
    """A dynamic role. `asked_at` is when the request began: the lease can't end before
    `asked_at + lease_seconds`."""

    username: str
    password: str = field(repr=False)
    lease_id: str = field(repr=False)
    lease_seconds: float
    renewable: bool
    asked_at: float


# The calls ----------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """One request. `operation` names it in errors."""

    operation: str
    method: str
    path: str
    token: str | None = field(default=None, repr=False)
    body: dict[str, Any] | None = field(default=None, repr=False)


def login(auth: AppRole | Jwt) -> Call:
    """Log in. Raises `AuthRefused` where the JWT can't be read."""
    if isinstance(auth, Jwt):
        body = {"role": auth.role, "jwt": read_secret_file(auth)}
    else:
        secret_id = auth.secret_id.get_secret_value()
        handled("secret-id", secret_id)
        body = {"role_id": auth.role_id, "secret_id": secret_id}
    return Call("login", "POST", f"auth/{auth.mount}/login", body=body)


def look_up(value: str) -> Call:
    """Ask what a token that somebody else made is good for."""
    return Call("login", "GET", "auth/token/lookup-self", value)


def issue(target: Target, token: Token) -> Call:
    """Take a new credential of the target's role."""
    return Call("issue", "GET", f"{target.database_mount}/creds/{target.role}", token.value)


def renew(token: Token, lease_id: str, increment: float) -> Call:
    """Ask for `increment` more seconds."""
    body = {"lease_id": lease_id, "increment": int(increment)}
    return Call("renew", "PUT", "sys/leases/renew", token.value, body)


def renew_token(token: Token) -> Call:
    """Renew the login itself."""
    body = {"increment": int(token.ttl_seconds)}
    return Call("renew token", "PUT", "auth/token/renew-self", token.value, body)


def revoke(token: Token, lease_id: str) -> Call:
    """Give a lease back; the answer comes when its role is gone. One that is gone is no error."""
    body = {"lease_id": lease_id, "sync": True}
    return Call("revoke", "PUT", "sys/leases/revoke", token.value, body)


def revoke_token(token: Token) -> Call:
    """End the login, and with it whatever it still holds."""
    return Call("revoke token", "PUT", "auth/token/revoke-self", token.value)


def read_secret_file(auth: TokenFile | Jwt) -> str:
    """Return the token or JWT of a file. Raises `AuthRefused` where it can't be read."""
    try:
        value = auth.path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise AuthRefused(f"login: {auth.path}: {error.strerror}") from None
    handled("token", value)
    return value


# Their answers ----------------------------------------------------------------


def token_of(found: Mapping[str, Any], asked_at: float, *, known: Token | None = None) -> Token:
    """Return the `Token` of an answer's `auth`: a new login, or `known` renewed."""
    value = known.value if known else found["client_token"]
    handled("token", value)
    ttl, ours = found["lease_duration"], known.ours if known else True
    return Token(value, _end(asked_at, ttl), float(ttl), found["renewable"], ours)


def token_looked_up(value: str, found: Mapping[str, Any], asked_at: float) -> Token:
    """Return the `Token` of what Vault says of somebody else's."""
    ttl, renewable = found["ttl"], found.get("renewable", False)
    return Token(value, _end(asked_at, ttl), float(ttl), renewable, ours=False)


def _end(asked_at: float, ttl: float) -> float:
    return asked_at + ttl if ttl else float("inf")


def issued_of(found: Mapping[str, Any], asked_at: float) -> Issued:
    """Return the credential of an answer."""
    handled("password", found["data"]["password"])
    handled("lease-id", found["lease_id"])
    return Issued(
        username=found["data"]["username"],
        password=found["data"]["password"],
        lease_id=found["lease_id"],
        lease_seconds=float(found["lease_duration"]),
        renewable=found["renewable"],
        asked_at=asked_at,
    )


# One call over several addresses ----------------------------------------------------------------


class Response(Protocol):
    """What requests' and httpx's responses have in common."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, whatever their case."""

    def json(self) -> Any:
        """Return the body as JSON; raises ValueError where it is none."""


@dataclass(frozen=True)
class NoAnswer:
    """What came instead of a response. `may_be_done`: the request was sent, so it may have been
    carried out."""

    reason: str
    may_be_done: bool = False


Tries = Generator[str, Response | NoAnswer, tuple[float, dict[str, Any]]]


class Addresses:
    """A target's addresses, tried from the one that answered last."""

    def __init__(self, target: Target) -> None:
        self._all = [address.rstrip("/") for address in target.vault_addresses]
        self._first = 0

    def tries(self, call: Call) -> Tries:
        """Yield each address that is to be asked, taking what came of it; return when the call was
        begun and its answer. Raises a `VaultError`."""
        asked_at = time.monotonic()
        trouble = VaultUnavailable(f"{call.operation}: the target has no Vault address")
        for _ in self._all:
            mine = self._first
            address = self._all[mine]
            came = yield address
            if isinstance(came, NoAnswer):
                trouble = VaultUnavailable(f"{call.operation}: {address}{came.reason}")
                if came.may_be_done and call.operation == "issue":
                    # Asking the next node at once could mint a second role; the caller's backoff
                    # asks there, one at a time.
                    self._turn(mine)
                    break
            elif came.status_code not in TRY_LATER:
                return asked_at, _answer(call.operation, came)
            else:
                trouble = VaultUnavailable(
                    f"{call.operation}: {address} answered {came.status_code}",
                    status=came.status_code,
                    retry_after=_retry_after(came),
                )
                if came.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                    break  # a quota is kept per node: going round them would defeat it
            self._turn(mine)
        raise trouble

    def _turn(self, used: int) -> None:
        if self._first == used:  # of a thousand that failed here, one turns to the next
            self._first = (used + 1) % len(self._all)


def _answer(operation: str, response: Response) -> dict[str, Any]:
    """Return the body of an answer that counts. Raises `AuthRefused`, `LeaseGone`,
    `RequestRefused`, or `VaultUnavailable` for a body that is no JSON."""
    status = response.status_code
    if status == HTTPStatus.NO_CONTENT:
        return {}
    if status < HTTPStatus.BAD_REQUEST:
        try:
            found: dict[str, Any] = response.json()
        except ValueError:
            raise VaultUnavailable(f"{operation}: the answer is no JSON", status=status) from None
        return found
    message = f"{operation}: Vault answered {status}{_reason(response)}"
    if status in {401, 403} or (operation == "login" and status == HTTPStatus.BAD_REQUEST):
        raise AuthRefused(message, status=status)
    if operation == "renew" and status in {400, 404}:
        raise LeaseGone(message, status=status)
    raise RequestRefused(message, status=status)


def _reason(response: Response) -> str:
    try:
        said = [str(line).strip() for line in response.json()["errors"]]
    except (ValueError, KeyError, TypeError):
        return ""
    return f" ({'; '.join(said).splitlines()[0][:200]})" if any(said) else ""


def _retry_after(response: Response) -> float | None:
    """Return the seconds of a Retry-After header; None without one that can be read."""
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None
