"""A rotation ends everything first, in order, and says what it could not do."""

from __future__ import annotations

from typing import Any

import pytest

from drills import rotate
from drills.errors import SetupError, VaultRefused
from drills.rotate import Check, Rotated, Rotation
from infra.platform import Platform

MOUNT = "auth/approle/role/orders"


class FakeVault:
    """Secret ids, tokens and leases of two services; records what is ended, in order."""

    def __init__(self, *, refuse: str = "") -> None:
        self.secret_ids = ["s1", "s2"]
        self.tokens = {
            "a-orders": {"policies": ["default", "orders"], "meta": None},
            "a-orders-by-meta": {"policies": ["x"], "meta": {"role_name": "orders"}},
            "a-billing": {"policies": ["default", "billing"], "meta": {"role_name": "billing"}},
            "a-operator": {"policies": ["drill-operator"], "meta": None},
        }
        self.leases = {"database/creds/orders": ["l1", "l2"], "database/creds/orders-ro": ["l3"]}
        self.ended: list[str] = []
        self.refuse = refuse
        self.token = ""

    def list_keys(self, path: str) -> list[str]:
        """List what is there."""
        if path == f"{MOUNT}/secret-id":
            return list(self.secret_ids)
        if path == "auth/token/accessors":
            return list(self.tokens)
        return list(self.leases[path.removeprefix("sys/leases/lookup/")])

    def call(self, method: str, path: str, *, json: Any = None, **_: Any) -> dict[str, Any]:
        """End it, or look at it."""
        if self.refuse and self.refuse in path:
            raise VaultRefused(500, path, "no connection\nto the database")
        if path.endswith("secret-id-accessor/destroy"):
            self.secret_ids.remove(json["secret_id_accessor"])
        elif path == "auth/token/lookup-accessor":
            return {"data": self.tokens[json["accessor"]]}
        elif path == "auth/token/revoke-accessor":
            del self.tokens[json["accessor"]]
        elif path.startswith("sys/leases/revoke-prefix/"):
            self.leases[path.removeprefix("sys/leases/revoke-prefix/")] = []
        else:
            raise VaultRefused(403, path, "permission denied")
        self.ended.append(path)
        return {}

    def close(self) -> None:
        """Nothing to close."""


class FakeProject:
    """Pulumi: issues a secret id, or can't."""

    def __init__(self, *, broken: bool = False) -> None:
        self.issued: list[str] = []
        self.broken = broken

    def reissue_secret_ids(self, service: str) -> None:
        """Issue."""
        if self.broken:
            raise SetupError("`pulumi up`: the stack is locked")
        self.issued.append(service)


def platform() -> Platform:
    """One service with AppRole, on a Vault that nobody can reach."""
    return Platform.model_validate(
        {
            "stack": "dev",
            "cluster": {"driver": "local", "state_dir": "/nowhere"},
            "vault": {
                "nodes": [
                    {"name": "vault-1", "address": "https://v", "proxied_address": "https://p"}
                ],
                "ca_pem": "",
                "audit_logs": [],
                "database_mount": "database",
                "operator_token": "operator",
                "unseal_keys": [],
            },
            "postgres": {
                "host": "h",
                "port": 1,
                "proxied_host": "h",
                "proxied_port": 1,
                "database": "shop",
                "ca_pem": "",
                "observer_username": "o",
                "observer_password": "p",
            },
            "proxy": {"api": "http://p"},
            "services": [
                {
                    "name": "orders",
                    "auth": {"mount": "approle", "role_id": "r", "secret_id": "old-secret-id"},
                    "role": "orders",
                    "read_only_role": "orders-ro",
                    "default_ttl_seconds": 60,
                    "max_ttl_seconds": 300,
                }
            ],
            "drills": {"allowed": True, "state_dir": "/nowhere"},
        }
    )


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> FakeVault:
    """The Vault that a rotation talks to; logins are refused."""
    fake = FakeVault()

    def refused(*_: object) -> None:
        raise VaultRefused(400, "auth/approle/login", "invalid secret id")

    monkeypatch.setattr(rotate, "_logged_in", refused)
    return fake


def rotation(vault: FakeVault, project: FakeProject) -> Rotation:
    """A rotation of `orders` under a token that is there already."""
    known = platform()
    made = Rotation.__new__(Rotation)
    made._platform, made._service = known, known.services[0]
    made._project, made._vault = project, vault  # type: ignore[assignment]
    made._say = lambda _: None
    made._canary = rotate._Canary()
    made.result = Rotated("orders")
    return made


def test_everything_of_the_service_ends_before_anything_is_issued(vault: FakeVault) -> None:
    """Secret ids go first, then tokens, then leases; other services keep theirs."""
    project = FakeProject()
    result = rotation(vault, project).run()
    assert result.not_done == []
    assert result.good
    assert vault.secret_ids == []
    assert sorted(vault.tokens) == ["a-billing", "a-operator"]
    assert list(vault.leases.values()) == [[], []]
    kinds = [path.split("/")[-1] for path in vault.ended]
    assert kinds == ["destroy"] * 2 + ["revoke-accessor"] * 2 + ["orders", "orders-ro"]
    assert project.issued == ["orders"]


def test_a_step_that_fails_is_told_with_what_is_not_done(vault: FakeVault) -> None:
    """When leases can't be revoked, logins are ended all the same, and nothing is issued."""
    vault.refuse = "revoke-prefix"
    project = FakeProject()
    result = rotation(vault, project).run()
    assert [step.split(":")[0] for step in result.done] == ["destroy secret ids", "revoke tokens"]
    assert result.not_done == ["revoke leases", "issue a new secret id"]
    assert not result.good
    assert result.error is not None
    assert "\n" not in result.error
    assert project.issued == []


def test_it_can_be_repeated(vault: FakeVault) -> None:
    """After a rotation that failed, another one does the rest."""
    assert not rotation(vault, FakeProject(broken=True)).run().good
    project = FakeProject()
    assert rotation(vault, project).run().good
    assert project.issued == ["orders"]


def test_an_interruption_keeps_what_was_done(vault: FakeVault) -> None:
    """Ctrl-C in the middle leaves a result that tells done from not done."""
    project = FakeProject()

    def interrupt(service: str) -> None:
        raise KeyboardInterrupt

    project.reissue_secret_ids = interrupt  # type: ignore[method-assign]
    made = rotation(vault, project)
    with pytest.raises(KeyboardInterrupt):
        made.run()
    assert made.result.not_done == ["issue a new secret id"]
    assert len(made.result.done) == 3


def test_an_old_login_that_works_is_not_good() -> None:
    """One check that comes out wrong makes the rotation a bad one; one that is unknown does not."""
    result = Rotated("orders", checks=[Check("old token", good=None, detail="no answer")])
    assert result.good
    result.checks.append(Check("old secret id", good=False, detail="accepted"))
    assert not result.good
