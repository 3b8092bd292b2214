"""Driver kubernetes: what it would declare. No cluster runs it here."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from infra.cluster import helm_values
from infra.cluster.kubernetes import MissingSdk, VaultChart, _sdk
from infra.cluster.settings import Kubernetes

UNSEALS: dict[str, dict[str, Any]] = {
    "awskms": {
        "region": "eu-central-1",
        "keyId": "alias/vault",
        "roleArn": "arn:aws:iam::1:role/v",
    },
    "gcpckms": {"project": "p", "region": "r", "keyRing": "k", "cryptoKey": "c"},
    "azurekeyvault": {"tenantId": "t", "vaultName": "v", "keyName": "k", "clientId": "i"},
    "transit": {"address": "https://other:8200", "keyName": "unseal", "tokenSecret": "seal-token"},
}
#: What the chart reads, of the keys that we set: its values.yaml and values.schema.json at 0.31.
#: None stands for anything (Kubernetes' own objects).
CHART: dict[str, Any] = {
    "global": {"enabled": bool, "tlsDisable": bool},
    "injector": {"enabled": bool, "replicas": int},
    "ui": {"enabled": bool},
    "serverTelemetry": {"serviceMonitor": {"enabled": bool}},
    "server": {
        "extraEnvironmentVars": None,
        "extraSecretEnvironmentVars": list,
        "serviceAccount": {"create": bool, "annotations": None},
        "volumes": list,
        "volumeMounts": list,
        "dataStorage": {
            "enabled": bool,
            "size": str,
            "mountPath": str,
            "storageClass": (str, type(None)),
            "accessMode": str,
        },
        "auditStorage": {
            "enabled": bool,
            "size": str,
            "mountPath": str,
            "storageClass": (str, type(None)),
            "accessMode": str,
        },
        "affinity": None,
        "topologySpreadConstraints": list,
        "readinessProbe": {"enabled": bool, "path": str},
        "standalone": {"enabled": bool},
        "ha": {
            "enabled": bool,
            "replicas": int,
            "disruptionBudget": {"enabled": bool, "maxUnavailable": int},
            "raft": {"enabled": bool, "setNodeId": bool, "config": str},
        },
    },
}


def settings(unseal: str = "awskms", **more: Any) -> Kubernetes:
    """Settings with one way to unseal."""
    return Kubernetes.model_validate({"unseal": {unseal: UNSEALS[unseal]}, **more})


def unknown(given: Any, taken: Any, where: str = "") -> list[str]:
    """What the chart would ignore or refuse, by its path."""
    if taken is None:
        return []
    if not isinstance(taken, dict):
        return [] if isinstance(given, taken) else [f"{where}: {type(given).__name__}"]
    found = []
    for key, value in given.items():
        place = f"{where}.{key}" if where else key
        found += unknown(value, taken[key], place) if key in taken else [place]
    return found


@pytest.mark.parametrize("unseal", UNSEALS)
def test_chart_takes_every_value(unseal: str) -> None:
    """Every key is one that the chart reads, of the type that it takes."""
    assert unknown(helm_values.values(settings(unseal), 3), CHART) == []


def test_a_mistyped_value_is_found() -> None:
    """The check above fails for a key that the chart does not know, or of another type."""
    made = helm_values.values(settings(), 3)
    made["server"]["ha"]["replica"] = 3
    made["server"]["ha"]["replicas"] = "3"
    assert unknown(made, CHART) == ["server.ha.replicas: str", "server.ha.replica"]


@pytest.mark.parametrize(
    ("unseal", "words"),
    [
        ("awskms", 'kms_key_id = "alias/vault"'),
        ("gcpckms", 'crypto_key = "c"'),
        ("azurekeyvault", 'vault_name = "v"'),
        ("transit", 'mount_path = "transit/"'),
    ],
)
def test_seal_is_the_one_that_is_named(unseal: str, words: str) -> None:
    """Each way to unseal has its stanza, and no credential in it."""
    text = helm_values.configuration(settings(unseal), 3)
    assert f'seal "{unseal}"' in text
    assert words in text
    assert "token" not in text
    assert text.count('seal "') == 1


def test_seal_proves_who_it_is_by_workload_identity() -> None:
    """The pods' account carries the cloud's role; transit's token comes out of a secret."""
    account = helm_values.values(settings("awskms"), 3)["server"]["serviceAccount"]
    assert account["annotations"] == {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/v"}
    (token,) = helm_values.values(settings("transit"), 3)["server"]["extraSecretEnvironmentVars"]
    assert token == {"envName": "VAULT_TOKEN", "secretName": "seal-token", "secretKey": "token"}


@pytest.mark.parametrize(("nodes", "spare"), [(3, 1), (5, 2), (7, 3)])
def test_a_drain_leaves_a_majority(nodes: int, spare: int) -> None:
    """The disruption budget gives no more pods away than raft can lose."""
    ha = helm_values.values(settings(), nodes)["server"]["ha"]
    assert ha["replicas"] == nodes
    assert ha["disruptionBudget"] == {"enabled": True, "maxUnavailable": spare}
    assert ha["raft"]["config"].count("retry_join") == nodes


def test_certificate_names_every_peer() -> None:
    """Each name by which a peer or client reaches a pod is in the certificate."""
    names = helm_values.dns_names("vault", 3)
    config = helm_values.configuration(settings(), 3)
    for index in range(3):
        assert f"vault-{index}.vault-internal" in names
        assert f'leader_tls_servername   = "vault-{index}.vault-internal"' in config
    assert "vault-active.vault.svc" in names


def test_servers_share_no_machine_and_spread_over_zones() -> None:
    """Two servers never share a machine, and zones differ by at most one."""
    server = helm_values.values(settings(), 3)["server"]
    (term,) = server["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    (spread,) = server["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["maxSkew"]) == ("topology.kubernetes.io/zone", 1)


def test_unsealing_must_be_one_thing() -> None:
    """No way to unseal, or two of them, is refused."""
    for unseal in ({}, {name: UNSEALS[name] for name in ("awskms", "transit")}):
        with pytest.raises(ValueError, match="name one of awskms"):
            Kubernetes.model_validate({"unseal": unseal})


def test_missing_sdk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pulumi_kubernetes the driver says how to get it, in one line."""
    monkeypatch.setitem(sys.modules, "pulumi_kubernetes", None)
    with pytest.raises(MissingSdk, match="extra `kubernetes`") as refused:
        _sdk()
    assert "\n" not in str(refused.value)


class _Recorder(mocks.Mocks):
    def __init__(self) -> None:
        self.resources: list[mocks.MockResourceArgs] = []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.resources.append(args)
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        raise AssertionError(f"no function is called, but {args.token} was")


@pytest.mark.skipif(
    importlib.util.find_spec("pulumi_kubernetes") is None,
    reason="the extra `kubernetes` (pulumi_kubernetes) is not installed",
)
def test_release_is_the_official_chart_of_one_version() -> None:
    """Namespace, certificate and release are declared; the release names chart and version."""
    recorder = _Recorder()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    mocks.set_mocks(recorder, project="rotation-drills", stack="prod")

    def program() -> None:
        VaultChart("vault", settings(issuer={"name": "house"}), nodes=5)

    from pulumi.runtime.stack import run_pulumi_func

    loop.run_until_complete(run_pulumi_func(program))
    made = {each.typ: each.inputs for each in recorder.resources}
    release = made["kubernetes:helm.sh/v3:Release"]
    assert (release["chart"], release["version"]) == ("vault", "0.31.0")
    assert release["repositoryOpts"] == {"repo": "https://helm.releases.hashicorp.com"}
    assert release["values"]["server"]["ha"]["replicas"] == 5
    certificate = made["kubernetes:cert-manager.io/v1:Certificate"]
    assert certificate["spec"]["issuerRef"] == {"name": "house", "kind": "ClusterIssuer"}
    assert "kubernetes:core/v1:Namespace" in made
    assert pulumi.get_stack() == "prod"
