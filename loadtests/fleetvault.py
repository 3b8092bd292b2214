"""`FleetVault`: Vault as thousands of clients on one event loop need it.

The same calls, answers and errors as `loadtests.vault`, over httpx; the clients share a set of
connections, since one machine has not as many ports and files as a fleet.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any

import httpx

from loadtests import vault
from loadtests.secrets import handled
from loadtests.target import Jwt, Target, TokenFile
from loadtests.vault import AuthRefused, Issued, Token, VaultUnavailable

_TIMEOUT = httpx.Timeout(10.0, connect=2.0)


class FleetVault:
    """Calls Vault at the first address that answers, from the one that answered last.

    At most `connections` requests are under way; who comes later waits for its turn, and that is
    not part of a request's time. Safe from any task of one loop.
    """

    def __init__(self, target: Target, *, connections: int) -> None:
        self._target = target
        self._addresses = [address.rstrip("/") for address in target.vault_addresses]
        self._first = 0
        self._turns = asyncio.Semaphore(connections)
        self._http = httpx.AsyncClient(
            verify=_trust(target),
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            trust_env=False,  # proxies of the environment must not come between a client and Vault
            headers={"X-Vault-Namespace": target.namespace} if target.namespace else {},
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def login(self) -> Token:
        """Log in as `VaultClient.login` does. A token file has one login for all: refused here."""
        auth = self._target.auth
        if isinstance(auth, TokenFile):
            raise AuthRefused("login: a fleet needs logins of its own; a token file has only one")
        if isinstance(auth, Jwt):
            body = {"role": auth.role, "jwt": vault.read_secret_file(auth)}
        else:
            body = vault.approle_body(auth)
        asked_at, found = await self._call("login", "POST", f"auth/{auth.mount}/login", json=body)
        found = found["auth"]
        handled("token", found["client_token"])
        return vault.token_of(
            found["client_token"], found["lease_duration"], found["renewable"], asked_at
        )

    async def issue(self, token: Token) -> Issued:
        """Take a new credential of the target's role."""
        path = f"{self._target.database_mount}/creds/{self._target.role}"
        asked_at, found = await self._call("issue", "GET", path, token=token.value)
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

    async def renew(self, token: Token, lease_id: str, increment: float) -> tuple[float, float]:
        """Ask for `increment` more seconds; return when it was asked and the seconds granted."""
        body = {"lease_id": lease_id, "increment": int(increment)}
        path = "sys/leases/renew"
        asked_at, found = await self._call("renew", "PUT", path, token=token.value, json=body)
        return asked_at, float(found["lease_duration"])

    async def renew_token(self, token: Token) -> Token:
        """Renew the login itself."""
        body, path = {"increment": int(token.ttl_seconds)}, "auth/token/renew-self"
        asked_at, found = await self._call("renew token", "PUT", path, token=token.value, json=body)
        found = found["auth"]
        return vault.token_of(token.value, found["lease_duration"], found["renewable"], asked_at)

    async def revoke_token(self, token: Token) -> None:
        """End the login, and with it whatever it still holds."""
        await self._call("revoke token", "PUT", "auth/token/revoke-self", token=token.value)

    async def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        token: str | None = None,
        json: dict[str, Any] | None = None,
    ) -> tuple[float, dict[str, Any]]:
        """Return when the request was sent, and Vault's answer. Raises a `VaultError`."""
        trouble: VaultUnavailable | None = None
        headers = {"X-Vault-Token": token} if token else {}
        async with self._turns:
            asked_at = time.monotonic()
            for _ in self._addresses:
                mine = self._first
                address = self._addresses[mine]
                try:
                    response = await self._http.request(
                        method, f"{address}/v1/{path}", headers=headers, json=json
                    )
                except httpx.HTTPError as error:
                    # from None: the exception carries the request, and that the token
                    trouble = VaultUnavailable(f"{operation}: {address}: {type(error).__name__}")
                    if operation == "issue" and isinstance(error, httpx.ReadTimeout):
                        self._turn(mine)
                        raise trouble from None  # it may have been done: not twice in one breath
                else:
                    if response.status_code not in vault.TRY_LATER:
                        return asked_at, vault.answer(operation, response)
                    trouble = VaultUnavailable(
                        f"{operation}: {address} answered {response.status_code}",
                        status=response.status_code,
                        retry_after=vault.retry_after(response),
                    )
                    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
                        raise trouble from None  # a quota is kept per node: no going round
                self._turn(mine)
        assert trouble is not None  # noqa: S101 - a target has an address
        raise trouble from None

    def _turn(self, used: int) -> None:
        if self._first == used:  # of a thousand that failed here, one turns to the next
            self._first = (used + 1) % len(self._addresses)


def _trust(target: Target) -> ssl.SSLContext | bool:
    if target.vault_ca_pem is None:
        return True
    return ssl.create_default_context(cadata=target.vault_ca_pem)
