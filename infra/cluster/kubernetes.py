"""Driver `kubernetes`: the official Vault Helm chart. Declares the servers; what is in Vault is
declared through `external`, once an operator has initialised it: recovery keys and the first root
token never pass through the stack's state."""

from __future__ import annotations

from types import ModuleType

import pulumi

from infra.cluster import helm_values
from infra.cluster.settings import Kubernetes

_REPOSITORY = "https://helm.releases.hashicorp.com"


class MissingSdk(pulumi.RunError):
    """`pulumi_kubernetes` is not installed; one line that says how to install it."""


def _sdk() -> ModuleType:
    try:
        import pulumi_kubernetes  # noqa: PLC0415 - an extra that only this driver needs
    except ImportError:
        raise MissingSdk(
            "driver kubernetes needs the package pulumi_kubernetes: install this project with its "
            "extra `kubernetes` (and Pulumi's kubernetes plugin)"
        ) from None
    module: ModuleType = pulumi_kubernetes
    return module


class VaultChart(pulumi.ComponentResource):
    """Namespace, certificate (by cert-manager, unless a secret is given), and the release."""

    def __init__(
        self,
        name: str,
        settings: Kubernetes,
        *,
        nodes: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rotation-drills:cluster:VaultChart", name, None, opts)
        k8s = _sdk()
        provider = k8s.Provider(
            f"{name}-provider",
            kubeconfig=str(settings.kubeconfig.expanduser()) if settings.kubeconfig else None,
            context=settings.context,
            opts=pulumi.ResourceOptions(parent=self),
        )
        options = pulumi.ResourceOptions(parent=self, provider=provider)
        namespace = k8s.core.v1.Namespace(
            f"{name}-namespace", metadata={"name": settings.namespace}, opts=options
        )
        needed = [namespace]
        if settings.issuer is not None:
            names = helm_values.dns_names(settings.namespace, nodes)
            certificate = k8s.apiextensions.CustomResource(
                f"{name}-certificate",
                api_version="cert-manager.io/v1",
                kind="Certificate",
                metadata={"name": settings.tls_secret, "namespace": settings.namespace},
                spec={
                    "secretName": settings.tls_secret,
                    "issuerRef": {"name": settings.issuer.name, "kind": settings.issuer.kind},
                    "dnsNames": names,
                    "ipAddresses": ["127.0.0.1"],
                    "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
                },
                opts=pulumi.ResourceOptions.merge(
                    options, pulumi.ResourceOptions(depends_on=[namespace])
                ),
            )
            needed.append(certificate)
        self.release = k8s.helm.v3.Release(
            f"{name}-release",
            name=helm_values.RELEASE,
            chart="vault",
            version=settings.chart_version,
            repository_opts={"repo": _REPOSITORY},
            namespace=settings.namespace,
            values=helm_values.values(settings, nodes),
            # a server that was never initialised is not ready, and who initialises it waits for
            # this to be done
            skip_await=True,
            opts=pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=needed)),
        )
        self.register_outputs({})
