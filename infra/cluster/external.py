"""Driver `external`: a Vault that runs already. Nothing is started, stopped or unsealed here."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import hvac
import pulumi
import requests
from hvac.exceptions import VaultError
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from infra.cluster.abilities import Ability
from infra.cluster.process import ProcessError
from infra.cluster.settings import SourceError, VaultAuth
from infra.platform import Platform


class ExternalCluster:
    """The nodes by name. Whoever runs them kills and starts them, not a drill."""

    def __init__(self, platform: Platform) -> None:
        self._nodes = [node.name for node in platform.vault.nodes]
        self._proxied = bool(platform.proxy.api)

    def abilities(self) -> frozenset[Ability]:
        """Return what can be done from here: faults on the lines, where there is a proxy."""
        return frozenset({"proxy"} if self._proxied else ())

    def nodes(self) -> list[str]:
        """Return the names of all nodes."""
        return list(self._nodes)

    def running(self, node: str) -> bool:
        """Raise `ProcessError`: that is not known here."""
        raise self._not_ours(node)

    def kill(self, node: str) -> None:
        """Raise `ProcessError`."""
        raise self._not_ours(node)

    def start(self, node: str) -> None:
        """Raise `ProcessError`."""
        raise self._not_ours(node)

    def unseal(self, node: str, keys: Sequence[str]) -> None:
        """Raise `ProcessError`."""
        raise self._not_ours(node)

    def _not_ours(self, node: str) -> ProcessError:
        return ProcessError(f"{node} runs elsewhere: start and unseal it where it runs")


def _log_in(props: dict[str, Any]) -> str:
    """Return a token. Raises `SourceError`, or an error of hvac's or requests'."""
    auth = VaultAuth.model_validate(props["auth"])
    client = _client(props, None)
    if auth.token is not None:
        client.token = auth.token.read()
        client.auth.token.lookup_self()
        return str(client.token)
    login = auth.approle
    assert login is not None  # noqa: S101 - the settings have one of the two
    made = client.auth.approle.login(
        role_id=login.role_id,
        secret_id=login.secret_id.read(),
        mount_point=login.mount,
        use_token=False,
    )
    return str(made["auth"]["client_token"])


def _client(props: dict[str, Any], token: str | None) -> Any:
    client = hvac.Client(url=props["address"], verify=props["ca_file"], timeout=15)
    client.token = token
    return client


class _VaultLogin(ResourceProvider):
    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse, before anything is declared, a secret that isn't where it is said to be."""
        auth = VaultAuth.model_validate(news["auth"])
        source = auth.token or (auth.approle and auth.approle.secret_id)
        try:
            if source and not _olds:
                source.read()
        except SourceError as error:
            return CheckResult(news, [CheckFailure("external.vault.auth", str(error))])
        return CheckResult(news, [])

    def _enter(self, props: dict[str, Any]) -> dict[str, Any]:
        try:
            return {**props, "token": _log_in(props), "ailments": []}
        except (SourceError, requests.RequestException, VaultError) as error:
            # hvac's words name the address and Vault's reason, never what was sent
            raise RuntimeError(f"external.vault: no login at {props['address']}: {error}") from None

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"login:{props['address']}", self._enter(props))

    def _ailments(self, props: dict[str, Any]) -> list[str]:
        try:
            _client(props, props["token"]).auth.token.lookup_self()
        except hvac.exceptions.Forbidden:
            return ["the token is no longer good"]
        except (requests.RequestException, VaultError):
            return []  # a Vault that does not answer at this moment says nothing of the token
        return []

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        return ReadResult(id_, {**props, "ailments": self._ailments(props)})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        changed = any(_olds.get(key) != _news.get(key) for key in ("address", "ca_file", "auth"))
        return DiffResult(changes=changed or bool(self._ailments(_olds)))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        entered = self._enter({**_olds, **{k: v for k, v in _news.items() if v is not None}})
        if entered["token"] != _olds.get("token"):
            self._log_out(_olds)
        return UpdateResult(entered)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        self._log_out(_props)

    def _log_out(self, props: dict[str, Any]) -> None:
        """Revoke the token, if it was a login's; one that was given is its giver's."""
        if VaultAuth.model_validate(props["auth"]).approle is None:
            return
        with contextlib.suppress(requests.RequestException, VaultError):
            _client(props, props["token"]).auth.token.revoke_self()


class VaultLogin(Resource, module="vault", name="VaultLogin"):
    """`pulumi up`'s own token at a Vault that runs already; made anew when it is no longer good.

    Only where the secret is goes into the inputs, not the secret.
    """

    token: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        address: str,
        ca_file: str,
        auth: VaultAuth,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "address": address,
            "ca_file": ca_file,
            "auth": auth.model_dump(mode="json", exclude_none=True),
            "token": None,
            "ailments": None,
        }
        secret = pulumi.ResourceOptions(additional_secret_outputs=["token"])
        super().__init__(_VaultLogin(), name, props, pulumi.ResourceOptions.merge(opts, secret))
