"""How a service logs in to Vault, and the identity that its tokens have in the audit log."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_vault as vault

from infra.auth_methods import AuthMethods
from infra.cluster.vault import VaultCluster
from infra.service_settings import (
    AppRoleLogin,
    CertificateLogin,
    JwtLogin,
    KubernetesLogin,
    ServiceSettings,
)

SECRET_ID_TTL = 30 * 24 * 3600
_TOKEN: dict[str, Any] = {"token_ttl": 600, "token_max_ttl": 3600}


class ServiceLogin:
    """The role of a service in its auth method, its entity and the alias between them.

    `role_id` and `secret_id` are there with AppRole alone; `entity_id` always.
    """

    role_id: pulumi.Output[str] | None = None
    secret_id: pulumi.Output[str] | None = None

    def __init__(
        self,
        service: pulumi.ComponentResource,
        settings: ServiceSettings,
        *,
        environment: str,
        policy: pulumi.Output[str],
        cluster: VaultCluster,
        methods: AuthMethods,
    ) -> None:
        self._service, self._name, self._policy = service, settings.name, policy
        self._cluster, self._methods = cluster, methods
        self.method = settings.auth.method
        self.backend = methods.backends[self.method]
        alias = self._declare_role(settings)
        entity = vault.identity.Entity(
            f"{self._name}-entity",
            name=f"{environment}-{self._name}",
            metadata={"environment": environment, "service": self._name},
            opts=cluster.options(service),
        )
        vault.identity.EntityAlias(
            f"{self._name}-entity-alias",
            name=alias,
            mount_accessor=self.backend.accessor,
            canonical_id=entity.id,
            opts=cluster.options(service),
        )
        self.entity_id = entity.id

    def _declare_role(self, settings: ServiceSettings) -> pulumi.Input[str]:
        """Declare the role; return the name that this method gives to whoever logs in by it."""
        login = settings.auth
        if isinstance(login, AppRoleLogin):
            return self._declare_approle(login)
        if isinstance(login, JwtLogin):
            return self._declare_jwt(login)
        if isinstance(login, KubernetesLogin):
            return self._declare_kubernetes(login)
        return self._declare_certificate(login)

    def _declare_approle(self, login: AppRoleLogin) -> pulumi.Input[str]:
        name, options = self._name, self._cluster.options
        role = vault.approle.AuthBackendRole(
            f"{name}-approle",
            backend=self.backend.path,
            role_name=name,
            token_policies=[self._policy],
            secret_id_ttl=SECRET_ID_TTL,
            secret_id_num_uses=0,
            secret_id_bound_cidrs=login.cidrs or None,
            token_bound_cidrs=login.cidrs or None,
            opts=options(self._service),
            **_TOKEN,
        )
        made = vault.approle.AuthBackendRoleSecretId(
            f"{name}-secret-id",
            backend=self.backend.path,
            role_name=role.role_name,
            metadata=json.dumps({"service": name}),
            ttl=SECRET_ID_TTL,  # left out, the provider would replace it at every `up`
            opts=options(self._service, additional_secret_outputs=["secret_id"]),
        )
        self.role_id, self.secret_id = role.role_id, made.secret_id
        return role.role_id

    def _declare_jwt(self, login: JwtLogin) -> pulumi.Input[str]:
        vault.jwt.AuthBackendRole(
            f"{self._name}-jwt",
            backend=self.backend.path,
            role_name=self._name,
            role_type="jwt",
            user_claim="sub",
            bound_subject=login.subject,
            bound_audiences=[login.audience],
            token_policies=[self._policy],
            opts=self._cluster.options(self._service),
            **_TOKEN,
        )
        return login.subject

    def _declare_kubernetes(self, login: KubernetesLogin) -> pulumi.Input[str]:
        vault.kubernetes.AuthBackendRole(
            f"{self._name}-kubernetes",
            backend=self.backend.path,
            role_name=self._name,
            bound_service_account_names=[login.service_account],
            bound_service_account_namespaces=[login.namespace],
            # by default the alias is the account's uid, which is not known before it is there
            alias_name_source="serviceaccount_name",
            audience="vault",
            token_policies=[self._policy],
            opts=self._cluster.options(self._service),
            **_TOKEN,
        )
        return f"{login.namespace}/{login.service_account}"

    def _declare_certificate(self, login: CertificateLogin) -> pulumi.Input[str]:
        method = self._methods.settings.cert
        assert method is not None  # noqa: S101 - the settings refuse such a service otherwise
        vault.CertAuthBackendRole(
            f"{self._name}-cert",
            backend=self.backend.path,
            name=self._name,
            certificate=method.ca_cert.strip(),
            allowed_common_names=[login.common_name],
            token_policies=[self._policy],
            opts=self._cluster.options(self._service),
            **_TOKEN,
        )
        return login.common_name
