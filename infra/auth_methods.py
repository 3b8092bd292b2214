"""Component: the auth methods of a stack: AppRole always, the others where the stack asks."""

from __future__ import annotations

import pulumi
import pulumi_vault as vault

from infra.cluster.vault import VaultCluster
from infra.engine_settings import AuthSettings


class AuthMethods(pulumi.ComponentResource):
    """`backends` by method name; each has `accessor`, and the method's name is its path."""

    def __init__(
        self,
        name: str,
        cluster: VaultCluster,
        settings: AuthSettings,
        *,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rotation-drills:auth:AuthMethods", name, None, opts)
        self._cluster, self.settings = cluster, settings
        self.backends: dict[str, vault.AuthBackend | vault.jwt.AuthBackend] = {
            "approle": vault.AuthBackend(
                "approle",
                type="approle",
                path="approle",
                opts=cluster.options(
                    self, aliases=[pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)]
                ),
            )
        }
        if settings.jwt is not None:
            # a PEM with its final newline would be another one at every `up`
            keys = [key.strip() for key in settings.jwt.public_keys]
            self.backends["jwt"] = vault.jwt.AuthBackend(
                f"{name}-jwt",
                path="jwt",
                bound_issuer=settings.jwt.issuer,
                jwt_validation_pubkeys=keys or None,
                oidc_discovery_url=None if keys else settings.jwt.issuer,
                opts=cluster.options(self),
            )
        if settings.kubernetes is not None:
            self._declare_kubernetes(name, settings)
        if settings.cert is not None:
            self.backends["cert"] = self._mount(f"{name}-cert", "cert")
        self.register_outputs({})

    def _mount(self, name: str, kind: str) -> vault.AuthBackend:
        return vault.AuthBackend(name, type=kind, path=kind, opts=self._cluster.options(self))

    def _declare_kubernetes(self, name: str, settings: AuthSettings) -> None:
        assert settings.kubernetes is not None  # noqa: S101 - the caller has looked
        backend = self._mount(f"{name}-kubernetes", "kubernetes")
        self.backends["kubernetes"] = backend
        vault.kubernetes.AuthBackendConfig(
            f"{name}-kubernetes-config",
            backend=backend.path,
            kubernetes_host=settings.kubernetes.host,
            kubernetes_ca_cert=settings.kubernetes.ca_cert.strip(),
            disable_local_ca_jwt=True,  # Vault need not be a pod of that cluster
            opts=self._cluster.options(self),
        )
