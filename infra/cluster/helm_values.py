"""The values of the official Vault Helm chart: pure functions, tested against what it takes.

Chart: https://github.com/hashicorp/vault-helm (values.yaml, values.schema.json). Its schema allows
unknown keys, so a mistyped one would be silently ignored: the tests hold every key against a list
of those that the chart reads.
"""

from __future__ import annotations

from typing import Any

from infra.cluster.settings import Kubernetes, Unsealing

RELEASE = "vault"
AUDIT_DIR = "/vault/audit"
_TLS_DIR = "/vault/userconfig/tls"
_ZONE = "topology.kubernetes.io/zone"
_HOST = "kubernetes.io/hostname"


def values(settings: Kubernetes, nodes: int) -> dict[str, Any]:
    """Return the values of a release with `nodes` servers."""
    env, secret_env, annotations = _identity(settings.unseal)
    return {
        "global": {"enabled": True, "tlsDisable": False},
        "injector": {
            "enabled": settings.injector_replicas > 0,
            "replicas": settings.injector_replicas,
        },
        "ui": {"enabled": False},
        "server": {
            "extraEnvironmentVars": {"VAULT_CACERT": f"{_TLS_DIR}/ca.crt", **env},
            "extraSecretEnvironmentVars": secret_env,
            "serviceAccount": {"create": True, "annotations": annotations},
            "volumes": [{"name": "tls", "secret": {"secretName": settings.tls_secret}}],
            "volumeMounts": [{"name": "tls", "mountPath": _TLS_DIR, "readOnly": True}],
            "dataStorage": _storage(settings.data_size, settings.storage_class, "/vault/data"),
            "auditStorage": _storage(settings.audit_size, settings.storage_class, AUDIT_DIR),
            "affinity": _affinity(),
            "topologySpreadConstraints": _spread(),
            # a pod that is sealed or a standby is ready to be reached, and alive
            "readinessProbe": {
                "enabled": True,
                "path": "/v1/sys/health?standbyok=true&sealedcode=204&uninitcode=204",
            },
            "standalone": {"enabled": False},
            "ha": {
                "enabled": True,
                "replicas": nodes,
                "disruptionBudget": {"enabled": True, "maxUnavailable": (nodes - 1) // 2},
                "raft": {
                    "enabled": True,
                    "setNodeId": True,
                    "config": configuration(settings, nodes),
                },
            },
        },
        "serverTelemetry": {"serviceMonitor": {"enabled": settings.service_monitor}},
    }


def configuration(settings: Kubernetes, nodes: int) -> str:
    """Return the servers' configuration; it holds no secret."""
    joins = "\n".join(_join(index) for index in range(nodes))
    return f"""ui = false
disable_mlock = true

listener "tcp" {{
  address         = "[::]:8200"
  cluster_address = "[::]:8201"
  tls_cert_file   = "{_TLS_DIR}/tls.crt"
  tls_key_file    = "{_TLS_DIR}/tls.key"
  telemetry {{
    unauthenticated_metrics_access = {str(settings.service_monitor).lower()}
  }}
}}

storage "raft" {{
  path                   = "/vault/data"
  performance_multiplier = 1
{joins}
}}

service_registration "kubernetes" {{}}

telemetry {{
  disable_hostname          = true
  prometheus_retention_time = "60s"
}}
{_seal(settings.unseal)}"""


def dns_names(namespace: str, nodes: int) -> list[str]:
    """Return the names that the pods' certificate must hold."""
    services = [RELEASE, f"{RELEASE}-active", f"{RELEASE}-standby", f"{RELEASE}-internal"]
    return [
        "localhost",
        *services,
        *(f"{service}.{namespace}.svc" for service in services),
        *(f"{RELEASE}-{index}.{RELEASE}-internal" for index in range(nodes)),
    ]


def _join(index: int) -> str:
    name = f"{RELEASE}-{index}.{RELEASE}-internal"
    return f"""  retry_join {{
    leader_api_addr         = "https://{name}:8200"
    leader_ca_cert_file     = "{_TLS_DIR}/ca.crt"
    leader_tls_servername   = "{name}"
  }}"""


def _storage(size: str, storage_class: str | None, path: str) -> dict[str, Any]:
    return {
        "enabled": True,
        "size": size,
        "mountPath": path,
        "storageClass": storage_class,
        "accessMode": "ReadWriteOnce",
    }


def _labels() -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "vault",
        "app.kubernetes.io/instance": RELEASE,
        "component": "server",
    }


def _affinity() -> dict[str, Any]:
    """Never two servers on one machine: it would take both along."""
    term = {"labelSelector": {"matchLabels": _labels()}, "topologyKey": _HOST}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def _spread() -> list[dict[str, Any]]:
    """As even over the zones as they allow: a lost zone must leave a majority."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": _ZONE,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": _labels()},
        }
    ]


def _seal(unseal: Unsealing) -> str:
    """Return the seal stanza: names of keys, never a credential."""
    if unseal.awskms:
        return _stanza(
            "awskms", {"region": unseal.awskms.region, "kms_key_id": unseal.awskms.key_id}
        )
    if unseal.gcpckms:
        google = unseal.gcpckms
        return _stanza(
            "gcpckms",
            {
                "project": google.project,
                "region": google.region,
                "key_ring": google.key_ring,
                "crypto_key": google.crypto_key,
            },
        )
    if unseal.azurekeyvault:
        azure = unseal.azurekeyvault
        return _stanza(
            "azurekeyvault",
            {
                "tenant_id": azure.tenant_id,
                "vault_name": azure.vault_name,
                "key_name": azure.key_name,
            },
        )
    transit = unseal.transit
    assert transit is not None  # noqa: S101 - the settings have one of the four
    return _stanza(
        "transit",
        {
            "address": transit.address,
            "key_name": transit.key_name,
            "mount_path": f"{transit.mount.rstrip('/')}/",
        },
    )


def _stanza(kind: str, settings: dict[str, str]) -> str:
    lines = "\n".join(f'  {key} = "{value}"' for key, value in settings.items())
    return f'\nseal "{kind}" {{\n{lines}\n}}\n'


def _identity(
    unseal: Unsealing,
) -> tuple[dict[str, str], list[dict[str, str]], dict[str, str]]:
    """Return variables, variables out of secrets, and the service account's annotations: how the
    pods prove to the seal who they are."""
    if unseal.awskms and unseal.awskms.role_arn:
        return {}, [], {"eks.amazonaws.com/role-arn": unseal.awskms.role_arn}
    if unseal.gcpckms and unseal.gcpckms.service_account:
        return {}, [], {"iam.gke.io/gcp-service-account": unseal.gcpckms.service_account}
    if unseal.azurekeyvault and unseal.azurekeyvault.client_id:
        return {}, [], {"azure.workload.identity/client-id": unseal.azurekeyvault.client_id}
    if unseal.transit:
        token = {
            "envName": "VAULT_TOKEN",
            "secretName": unseal.transit.token_secret,
            "secretKey": "token",
        }
        return {}, [token], {}
    return {}, [], {}
