"""Vault as a service needs it: log in, take a lease, renew it, give it back.

What is asked and what an answer means is in `loadtests.vaultcalls`; the libraries' own exceptions
(which carry requests with their headers) are never chained to what is raised here.
"""

from __future__ import annotations

import time
from typing import Any

import requests
from hvac.adapters import RawAdapter

from loadtests import vaultcalls
from loadtests.certificates import pem_file
from loadtests.target import Target, TokenFile
from loadtests.vaultcalls import (
    Addresses,
    AuthRefused,
    Call,
    Issued,
    LeaseGone,
    NoAnswer,
    RequestRefused,
    Response,
    Token,
    VaultError,
    VaultUnavailable,
)

__all__ = [
    "AuthRefused",
    "Issued",
    "LeaseGone",
    "RequestRefused",
    "Token",
    "VaultClient",
    "VaultError",
    "VaultUnavailable",
]


class VaultClient:
    """Calls Vault at the first address that answers, from the one that answered last.

    Once Vault has said Retry-After nothing is sent before that time, whatever it is: each call
    fails at once with what remains of it. Not safe from several threads at once. Each call takes
    at most `connect_timeout + read_timeout` seconds an address.
    """

    def __init__(
        self, target: Target, *, connect_timeout: float = 1.0, read_timeout: float = 3.0
    ) -> None:
        self._target = target
        self._addresses = Addresses(target)
        self._not_before = 0.0
        self._session = requests.Session()
        # proxies and CA bundles of the environment must not come between a service and its Vault
        self._session.trust_env = False
        if target.vault_ca_pem:
            self._session.verify = str(pem_file(target.vault_ca_pem))
        self._timeout = (connect_timeout, read_timeout)

    def close(self) -> None:
        """Close the connections; later calls open new ones."""
        self._session.close()

    @property
    def paused_seconds(self) -> float:
        """What remains of Vault's Retry-After; 0 when requests are sent."""
        return max(0.0, self._not_before - time.monotonic())

    def login(self) -> Token:
        """Log in by the target's auth method. Raises `AuthRefused`, `VaultUnavailable`."""
        auth = self._target.auth
        if isinstance(auth, TokenFile):
            value = vaultcalls.read_secret_file(auth)
            asked_at, found = self._call(vaultcalls.look_up(value))
            return vaultcalls.token_looked_up(value, found["data"], asked_at)
        asked_at, found = self._call(vaultcalls.login(auth))
        return vaultcalls.token_of(found["auth"], asked_at)

    def issue(self, token: Token) -> Issued:
        """Take a new credential of the target's role.

        Raises `VaultUnavailable` (after a timeout Vault may have made a role that nobody knows
        of; it goes at the end of its lease), `AuthRefused`, `RequestRefused`.
        """
        asked_at, found = self._call(vaultcalls.issue(self._target, token))
        return vaultcalls.issued_of(found, asked_at)

    def renew(self, token: Token, lease_id: str, increment: float) -> tuple[float, float]:
        """Ask for `increment` more seconds; return when it was asked and the seconds granted.

        Raises `LeaseGone`, `AuthRefused`, `VaultUnavailable`.
        """
        asked_at, found = self._call(vaultcalls.renew(token, lease_id, increment))
        return asked_at, float(found["lease_duration"])

    def renew_token(self, token: Token) -> Token:
        """Renew the login itself. Raises `AuthRefused`, `VaultUnavailable`."""
        asked_at, found = self._call(vaultcalls.renew_token(token))
        return vaultcalls.token_of(found["auth"], asked_at, known=token)

    def revoke(self, token: Token, lease_id: str) -> None:
        """Give a lease back; returns when its role is gone. One that is gone is no error.

        Raises `AuthRefused`, `VaultUnavailable`.
        """
        self._call(vaultcalls.revoke(token, lease_id))

    def revoke_token(self, token: Token) -> None:
        """End the login, and with it whatever it still holds. A file's token is left alone."""
        if token.ours:
            self._call(vaultcalls.revoke_token(token))

    def _call(self, call: Call) -> tuple[float, dict[str, Any]]:
        """Return when the call was begun, and the body of its answer. Raises a `VaultError`."""
        if (remains := self.paused_seconds) > 0:
            raise VaultUnavailable(
                f"{call.operation}: not sent, Vault asked for {remains:.1f} s without requests",
                status=requests.codes.too_many_requests,
                retry_after=remains,
            )
        tries = self._addresses.tries(call)
        try:
            address = next(tries)
            while True:
                address = tries.send(self._ask(call, address))
        except StopIteration as done:
            answered: tuple[float, dict[str, Any]] = done.value
            return answered
        except VaultUnavailable as trouble:
            if trouble.retry_after:
                self._not_before = time.monotonic() + trouble.retry_after
            raise

    def _ask(self, call: Call, address: str) -> Response | NoAnswer:
        adapter = RawAdapter(
            base_uri=address,
            token=call.token,
            session=self._session,
            verify=self._session.verify,
            timeout=self._timeout,
            namespace=self._target.namespace,
            allow_redirects=False,  # a token must not follow a redirect to another host
        )
        try:
            response: Response = adapter.request(
                call.method, f"v1/{call.path}", raise_exception=False, json=call.body
            )
        except requests.exceptions.SSLError:
            return NoAnswer(" shows no certificate of the target's vault_ca_pem")
        except requests.exceptions.ReadTimeout:
            return NoAnswer(f" gave no answer within {self._timeout[1]:g} s", may_be_done=True)
        except requests.exceptions.RequestException as error:
            return NoAnswer(f": {type(error).__name__}")
        return response
