"""Vault as a service needs it: log in, take a lease, renew it, give it back.

No text that leaves this module holds a password, token, secret id or lease id: errors are made
from the status and the operation, and the libraries' own exceptions (which carry requests with
their headers) are never chained to them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import requests
from hvac.adapters import RawAdapter

from loadtests.certificates import pem_file
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


class VaultClient:
    """Calls Vault at the first address that answers, from the one that answered last.

    Not safe from several threads at once. Each call takes at most `connect_timeout +
    read_timeout` seconds an address.
    """

    def __init__(
        self, target: Target, *, connect_timeout: float = 1.0, read_timeout: float = 3.0
    ) -> None:
        self._target = target
        self._addresses = [address.rstrip("/") for address in target.vault_addresses]
        self._first = 0
        self._session = requests.Session()
        # proxies and CA bundles of the environment must not come between a service and its Vault
        self._session.trust_env = False
        if target.vault_ca_pem:
            self._session.verify = str(pem_file(target.vault_ca_pem))
        self._timeout = (connect_timeout, read_timeout)

    def close(self) -> None:
        """Close the connections; later calls open new ones."""
        self._session.close()

    def login(self) -> Token:
        """Log in by the target's auth method. Raises `AuthRefused`, `VaultUnavailable`."""
        auth = self._target.auth
        if isinstance(auth, TokenFile):
            return self._adopt(read_secret_file(auth))
        if isinstance(auth, Jwt):
            body = {"role": auth.role, "jwt": read_secret_file(auth)}
        else:
            body = approle_body(auth)
        asked_at = time.monotonic()
        found = self._call("login", "post", f"auth/{auth.mount}/login", json=body)["auth"]
        handled("token", found["client_token"])
        return token_of(
            found["client_token"], found["lease_duration"], found["renewable"], asked_at
        )

    def _adopt(self, value: str) -> Token:
        asked_at = time.monotonic()
        found = self._call("login", "get", "auth/token/lookup-self", token=value)["data"]
        return token_of(value, found["ttl"], found.get("renewable", False), asked_at, ours=False)

    def issue(self, token: Token) -> Issued:
        """Take a new credential of the target's role.

        Raises `VaultUnavailable` (after a timeout Vault may have made a role that nobody knows
        of; it goes at the end of its lease), `AuthRefused`, `RequestRefused`.
        """
        asked_at = time.monotonic()
        path = f"{self._target.database_mount}/creds/{self._target.role}"
        found = self._call("issue", "get", path, token=token.value)
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

    def renew(self, token: Token, lease_id: str, increment: float) -> tuple[float, float]:
        """Ask for `increment` more seconds; return when it was asked and the seconds granted.

        Raises `LeaseGone`, `AuthRefused`, `VaultUnavailable`.
        """
        asked_at = time.monotonic()
        body = {"lease_id": lease_id, "increment": int(increment)}
        found = self._call("renew", "put", "sys/leases/renew", token=token.value, json=body)
        return asked_at, float(found["lease_duration"])

    def renew_token(self, token: Token) -> Token:
        """Renew the login itself. Raises `AuthRefused`, `VaultUnavailable`."""
        asked_at = time.monotonic()
        body = {"increment": int(token.ttl_seconds)}
        path = "auth/token/renew-self"
        found = self._call("renew token", "put", path, token=token.value, json=body)["auth"]
        return token_of(
            token.value, found["lease_duration"], found["renewable"], asked_at, ours=token.ours
        )

    def revoke(self, token: Token, lease_id: str) -> None:
        """Give a lease back; returns when its role is gone. One that is gone is no error.

        Raises `AuthRefused`, `VaultUnavailable`.
        """
        body = {"lease_id": lease_id, "sync": True}
        self._call("revoke", "put", "sys/leases/revoke", token=token.value, json=body)

    def revoke_token(self, token: Token) -> None:
        """End the login, and with it whatever it still holds. A file's token is left alone."""
        if token.ours:
            self._call("revoke token", "put", "auth/token/revoke-self", token=token.value)

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        token: str | None = None,
        json: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        trouble: VaultUnavailable | None = None
        for _ in self._addresses:
            address = self._addresses[self._first]
            adapter = RawAdapter(
                base_uri=address,
                token=token,
                session=self._session,
                verify=self._session.verify,
                timeout=self._timeout,
                namespace=self._target.namespace,
                allow_redirects=False,  # a token must not follow a redirect to another host
            )
            try:
                response = adapter.request(method, f"v1/{path}", raise_exception=False, json=json)
            except requests.exceptions.SSLError:
                trouble = VaultUnavailable(
                    f"{operation}: {address} shows no certificate of the target's vault_ca_pem"
                )
            except requests.exceptions.ReadTimeout:
                trouble = VaultUnavailable(
                    f"{operation}: {address} gave no answer within {self._timeout[1]:g} s"
                )
                if operation == "issue":
                    # It may have been carried out. Asking the next node at once could mint a
                    # second role; the caller's backoff asks there, one at a time.
                    self._turn()
                    raise trouble from None
            except requests.exceptions.RequestException as error:
                trouble = VaultUnavailable(f"{operation}: {address}: {type(error).__name__}")
            else:
                if response.status_code not in TRY_LATER:
                    return answer(operation, response)
                trouble = VaultUnavailable(
                    f"{operation}: {address} answered {response.status_code}",
                    status=response.status_code,
                    retry_after=retry_after(response),
                )
                if response.status_code == requests.codes.too_many_requests:
                    # a quota is kept per node: going round them would defeat it
                    raise trouble from None
            self._turn()
        if trouble is None:
            raise VaultUnavailable(f"{operation}: the target has no Vault address")
        raise trouble from None

    def _turn(self) -> None:
        self._first = (self._first + 1) % len(self._addresses)


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


def answer(operation: str, response: Response) -> dict[str, Any]:
    """Return the body of an answer that counts. Raises `AuthRefused`, `LeaseGone`,
    `RequestRefused`, or `VaultUnavailable` for a body that is no JSON."""
    status = response.status_code
    if status == requests.codes.no_content:
        return {}
    if status < requests.codes.bad_request:
        try:
            found: dict[str, Any] = response.json()
        except ValueError:
            raise VaultUnavailable(f"{operation}: the answer is no JSON", status=status) from None
        return found
    message = f"{operation}: Vault answered {status}{_reason(response)}"
    if status in {401, 403} or (operation == "login" and status == requests.codes.bad_request):
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


def retry_after(response: Response) -> float | None:
    """Return the seconds of a Retry-After header; None without one that can be read."""
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None


def token_of(
    value: str, ttl: float, renewable: bool, asked_at: float, *, ours: bool = True
) -> Token:
    """Return the `Token` of an answer that was asked for at `asked_at`."""
    expires_at = asked_at + ttl if ttl else float("inf")
    return Token(value, expires_at, float(ttl), renewable, ours)


def approle_body(auth: AppRole) -> dict[str, str]:
    """Return what an AppRole login sends."""
    secret_id = auth.secret_id.get_secret_value()
    handled("secret-id", secret_id)
    return {"role_id": auth.role_id, "secret_id": secret_id}


def read_secret_file(auth: TokenFile | Jwt) -> str:
    """Return the token or JWT of a file. Raises `AuthRefused` where it can't be read."""
    try:
        value = auth.path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise AuthRefused(f"login: {auth.path}: {error.strerror}") from None
    handled("token", value)
    return value
