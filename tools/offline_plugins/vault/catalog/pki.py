"""The PKI engine."""

from __future__ import annotations

from tools.offline_plugins.spec import words
from tools.offline_plugins.vault.endpoint import Endpoint
from tools.offline_plugins.vault.kinds.certificates import MadeOnceKind, RootKind, SignedKind
from tools.offline_plugins.vault.kinds.engines import PkiRoleKind

_SUBJECT = (
    "altNames backend commonName country excludeCnFromSans format ipSans keyUsages locality "
    "namespace organization otherSans ou postalCode province streetAddress uriSans"
)
_CONSTRAINTS = (
    "excludedDnsDomains excludedEmailAddresses excludedIpRanges excludedUriDomains maxPathLength "
    "permittedDnsDomains permittedEmailAddresses permittedIpRanges permittedUriDomains usePss "
    "notBeforeDuration"
)
_KEY = "keyBits keyName keyRef keyType managedKeyId managedKeyName privateKeyFormat type"
_KEY_DEFAULTS = {"keyBits": 2048, "keyType": "rsa", "privateKeyFormat": "der"}
_ISSUE_DEFAULTS = {"format": "pem", "maxPathLength": -1}
_RENAMED = {"keyUsages": "key_usage"}

TYPES = (
    Endpoint(
        resource="vault:pkiSecret/secretBackendConfigUrls:SecretBackendConfigUrls",
        path="{backend}/config/urls",
        replaces=words("namespace"),
        removable=False,
    ),
    Endpoint(
        resource="vault:pkiSecret/secretBackendRole:SecretBackendRole",
        path="{backend}/roles/{name}",
        kind=PkiRoleKind,
        replaces=words("backend name namespace"),
        defaults={
            "allowIpSans": True,
            "allowLocalhost": True,
            "allowWildcardCertificates": True,
            "clientFlag": True,
            "enforceHostnames": True,
            "keyBits": 2048,
            "keyType": "rsa",
            "requireCn": True,
            "serverFlag": True,
            "useCsrCommonName": True,
            "useCsrSans": True,
        },
        computed=words(
            "cnValidations issuerRef keyUsages maxTtl notAfter notBeforeDuration "
            "serialNumberSource ttl"
        ),
        absent=words("parameterSet"),
        rename={
            **_RENAMED,
            "countries": "country",
            "extKeyUsages": "ext_key_usage",
            "localities": "locality",
            "organizationUnit": "ou",
            "organizations": "organization",
            "postalCodes": "postal_code",
            "provinces": "province",
            "streetAddresses": "street_address",
        },
        unsent=words("policyIdentifier"),
        kept={"policyIdentifier": [], "noStoreMetadata": None},
        nullable=words("allowedSerialNumbers extKeyUsageOids extKeyUsages policyIdentifiers"),
    ),
    Endpoint(
        resource="vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert",
        path="{backend}/issuers/generate/root/{type}",
        identifier="{backend}/issuer/{issuerId}",
        kind=RootKind,
        replaces=words(f"{_SUBJECT} {_CONSTRAINTS} {_KEY} issuerName"),
        defaults={**_KEY_DEFAULTS, **_ISSUE_DEFAULTS},
        absent=words("jksPassword jksPrivateKeyAlias parameterSet pkcs12Encoder pkcs12Password"),
        rename=_RENAMED,
    ),
    Endpoint(
        resource="vault:pkiSecret/secretBackendIntermediateCertRequest:"
        "SecretBackendIntermediateCertRequest",
        path="{backend}/issuers/generate/intermediate/{type}",
        identifier="{backend}/issuers/generate/intermediate/{type}/{uuid}",
        kind=MadeOnceKind,
        replaces=words(f"{_SUBJECT} {_KEY} addBasicConstraints serialNumber signatureBits"),
        defaults={**_KEY_DEFAULTS, "format": "pem"},
        absent=words("parameterSet"),
        rename=_RENAMED,
        kept={"addBasicConstraints": False},
        removable=False,
    ),
    Endpoint(
        resource="vault:pkiSecret/secretBackendRootSignIntermediate:SecretBackendRootSignIntermediate",
        path="{backend}/root/sign-intermediate",
        identifier="{backend}/{commonName}",
        kind=SignedKind,
        replaces=words(f"{_SUBJECT} {_CONSTRAINTS} csr signatureBits skid useCsrValues"),
        defaults=_ISSUE_DEFAULTS,
        absent=words("jksPassword pkcs12Encoder pkcs12Password"),
        rename=_RENAMED,
        unsent=words("issuerRef revoke"),
        kept={"revoke": False, "useCsrValues": False},
    ),
    Endpoint(
        resource="vault:pkiSecret/secretBackendIntermediateSetSigned:"
        "SecretBackendIntermediateSetSigned",
        path="{backend}/intermediate/set-signed",
        identifier="{backend}/intermediate/set-signed/{uuid}",
        kind=MadeOnceKind,
        replaces=words("backend certificate namespace"),
        removable=False,
    ),
)
