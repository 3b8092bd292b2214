"""Secrets engines: key-value, SSH, transit, AWS; and the generic endpoint."""

from __future__ import annotations

from tools.offline_plugins.spec import sets, words
from tools.offline_plugins.vault.endpoint import Endpoint
from tools.offline_plugins.vault.kinds.engines import (
    AwsKind,
    AwsRoleKind,
    SshCaKind,
    SshRoleKind,
    TransitKeyKind,
)
from tools.offline_plugins.vault.kinds.stored import GenericKind, KvConfigKind, KvSecretKind

TYPES = (
    Endpoint(
        resource="vault:kv/secretBackendV2:SecretBackendV2",
        path="{mount}/config",
        kind=KvConfigKind,
        replaces=words("mount namespace"),
        computed=words("casRequired deleteVersionAfter maxVersions"),
        removable=False,
    ),
    Endpoint(
        resource="vault:kv/secretV2:SecretV2",
        path="{mount}/data/{name}",
        kind=KvSecretKind,
        replaces=words("mount name namespace"),
        computed=words("customMetadata"),
        compare={"dataJson": "json"},
        write_only=words("dataJsonWo"),
    ),
    Endpoint(
        resource="vault:generic/endpoint:Endpoint",
        path="{path}",
        kind=GenericKind,
        replaces=words("namespace path"),
        compare={"dataJson": "json"},
    ),
    Endpoint(
        resource="vault:ssh/secretBackendCa:SecretBackendCa",
        path="{backend}/config/ca",
        identifier="{backend}",
        kind=SshCaKind,
        replaces=words(
            "backend generateSigningKey keyBits keyType managedKeyId managedKeyName namespace "
            "privateKey publicKey"
        ),
        defaults={"backend": "ssh", "generateSigningKey": True, "keyType": "ssh-rsa"},
        computed=words("privateKey publicKey"),
        kept={
            "generateSigningKey": True,
            "keyBits": None,
            "keyType": "ssh-rsa",
            "managedKeyId": None,
            "managedKeyName": None,
            "privateKey": None,
        },
    ),
    Endpoint(
        resource="vault:ssh/secretBackendRole:SecretBackendRole",
        path="{backend}/roles/{name}",
        kind=SshRoleKind,
        replaces=words("backend name namespace"),
        computed=words("algorithmSigner allowedUserKeyConfigs maxTtl notBeforeDuration ttl"),
        kept={"excludeCidrLists": None},
    ),
    Endpoint(
        resource="vault:transit/secretBackendKey:SecretBackendKey",
        path="{backend}/keys/{name}",
        kind=TransitKeyKind,
        replaces=words(
            "backend context convergentEncryption derived managedKeyId managedKeyName name "
            "namespace type"
        ),
        defaults={"minDecryptionVersion": 1, "type": "aes256-gcm96"},
        computed=words("autoRotatePeriod"),
        kept={
            "context": None,
            "hybridKeyTypeEc": None,
            "hybridKeyTypePqc": None,
            "managedKeyId": None,
            "managedKeyName": None,
            "parameterSet": None,
        },
    ),
    Endpoint(
        resource="vault:aws/secretBackend:SecretBackend",
        path="sys/mounts/{path}",
        identifier="{path}",
        kind=AwsKind,
        replaces=words("externalEntropyAccess local namespace sealWrap"),
        defaults={"maxRetries": -1, "path": "aws"},
        computed=words(
            "auditNonHmacRequestKeys auditNonHmacResponseKeys defaultLeaseTtlSeconds "
            "identityTokenKey listingVisibility maxLeaseTtlSeconds region sealWrap usernameTemplate"
        ),
        rename={"secretKeyWo": "secret_key"},
        unsent=words("secretKeyWoVersion"),
        kept={
            "disableAutomatedRotation": None,
            "disableRemount": False,
            "identityTokenAudience": None,
            "identityTokenTtl": None,
            "pluginVersion": None,
            "roleArn": None,
            "rotationPeriod": None,
            "rotationSchedule": None,
            "rotationWindow": None,
            "secretKey": None,
            "secretKeyWoVersion": None,
        },
        write_only=words("secretKeyWo"),
    ),
    Endpoint(
        resource="vault:aws/secretBackendRole:SecretBackendRole",
        path="{backend}/roles/{name}",
        kind=AwsRoleKind,
        replaces=words("backend name namespace roleArns"),
        computed=words("defaultStsTtl maxStsTtl"),
        compare={**sets("iamGroups policyArns roleArns"), "policyDocument": "json"},
    ),
)
