"""The database engine."""

from __future__ import annotations

from tools.offline_plugins.spec import words
from tools.offline_plugins.vault.endpoint import Endpoint
from tools.offline_plugins.vault.kinds.database import ConnectionKind

TYPES = (
    Endpoint(
        resource="vault:database/secretBackendConnection:SecretBackendConnection",
        path="{backend}/config/{name}",
        kind=ConnectionKind,
        replaces=words("backend namespace"),
        defaults={
            "verifyConnection": True,
            "postgresql.maxOpenConnections": 2,
            "postgresql.passwordAuthentication": "password",
        },
        computed=words("pluginName"),
        choices={"postgresql.passwordAuthentication": ("password", "scram-sha-256")},
        rename={"rootRotationStatements": "root_credentials_rotate_statements"},
        unsent=words("data"),
        kept={
            "data": {},
            "disableAutomatedRotation": None,
            "rotationPeriod": None,
            "rotationSchedule": None,
            "rotationWindow": None,
            "skipStaticRoleImportRotation": None,
            "verifyConnection": None,
        },
        secrets=words(
            "postgresql.password postgresql.passwordWo postgresql.privateKey "
            "postgresql.serviceAccountJson"
        ),
        write_only=words("postgresql.passwordWo"),
    ),
    Endpoint(
        resource="vault:database/secretBackendRole:SecretBackendRole",
        path="{backend}/roles/{name}",
        replaces=words("backend dbName name namespace"),
        computed=words("credentialType"),
        nullable=words("credentialConfig"),
    ),
    Endpoint(
        resource="vault:database/secretBackendStaticRole:SecretBackendStaticRole",
        path="{backend}/static-roles/{name}",
        replaces=words("backend dbName name namespace username"),
        computed=words("credentialType"),
        nullable=words("credentialConfig"),
        rename={"passwordWo": "password"},
        unsent=words("passwordWoVersion"),
        kept={"passwordWoVersion": None, "selfManagedPassword": None, "skipImportRotation": None},
        write_only=words("passwordWo"),
    ),
)
