"""`FleetVault`: Vault as thousands of clients on one event loop need it.

The same calls, answers and errors as `loadtests.vault`, over httpx; the clients share a set of
connections, since one machine has not as many ports and files as a fleet.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import httpx

from loadtests import vaultcalls
from loadtests.target import Target, TokenFile
from loadtests.vaultcalls import Addresses, AuthRefused, Call, Issued, NoAnswer, Response, Token

_TIMEOUT = httpx.Timeout(10.0, connect=2.0)


class FleetVault:
    """Calls Vault at the first address that answers, from the one that answered last.

    At most `connections` requests are under way; who comes later waits for its turn, and that is
    not part of a request's time. Each client honours Retry-After by itself, as separate processes
    do. Safe from any task of one loop.
    """

    def __init__(self, target: Target, *, connections: int) -> None:
        self._target = target
        self._addresses = Addresses(target)
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
        asked_at, found = await self._call(vaultcalls.login(auth))
        return vaultcalls.token_of(found["auth"], asked_at)

    async def issue(self, token: Token) -> Issued:
        """Take a new credential of the target's role."""
        asked_at, found = await self._call(vaultcalls.issue(self._target, token))
        return vaultcalls.issued_of(found, asked_at)

    async def renew(self, token: Token, lease_id: str, increment: float) -> tuple[float, float]:
        """Ask for `increment` more seconds; return when it was asked and the seconds granted."""
        asked_at, found = await self._call(vaultcalls.renew(token, lease_id, increment))
        return asked_at, float(found["lease_duration"])

    async def renew_token(self, token: Token) -> Token:
        """Renew the login itself."""
        asked_at, found = await self._call(vaultcalls.renew_token(token))
        return vaultcalls.token_of(found["auth"], asked_at, known=token)

    async def revoke(self, token: Token, lease_id: str) -> None:
        """Give a lease back; returns when its role is gone."""
        await self._call(vaultcalls.revoke(token, lease_id))

    async def revoke_token(self, token: Token) -> None:
        """End the login, and with it whatever it still holds."""
        await self._call(vaultcalls.revoke_token(token))

    async def _call(self, call: Call) -> tuple[float, dict[str, Any]]:
        """Return when the request was sent, and Vault's answer. Raises a `VaultError`."""
        async with self._turns:
            tries = self._addresses.tries(call)
            try:
                address = next(tries)
                while True:
                    address = tries.send(await self._ask(call, address))
            except StopIteration as done:
                answered: tuple[float, dict[str, Any]] = done.value
                return answered

    async def _ask(self, call: Call, address: str) -> Response | NoAnswer:
        headers = {"X-Vault-Token": call.token} if call.token else {}
        try:
            return await self._http.request(
                call.method, f"{address}/v1/{call.path}", headers=headers, json=call.body
            )
        except httpx.HTTPError as error:  # it carries the request, and that the token
            return NoAnswer(
                f": {type(error).__name__}", may_be_done=isinstance(error, httpx.ReadTimeout)
            )


def _trust(target: Target) -> ssl.SSLContext | bool:
    if target.vault_ca_pem is None:
        return True
    return ssl.create_default_context(cadata=target.vault_ca_pem)
