"""The stack's own certificate authority, and the certificates it signs.

The authority's key lives only while the certificates are made: nobody can sign more with it.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any

import pulumi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

_LIFETIME = timedelta(days=365)
_RENEW_BEFORE = timedelta(days=30)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem_key(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def issue(authority: str, names: list[str]) -> tuple[str, dict[str, dict[str, str]]]:
    """Return the authority's certificate, and for each name its `certificate` and `key` (PEM).

    Every certificate is good for `localhost`, 127.0.0.1, ::1 and its own name, as server and
    client, for a year.
    """
    now = datetime.now(UTC)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name(authority)

    def start(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + _LIFETIME)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
                critical=False,
            )
        )

    ca = (
        start(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(ca_key, hashes.SHA256())
    )
    issued = {}
    for name in names:
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName(
            [
                x509.DNSName("localhost"),
                x509.DNSName(name),
                x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                x509.IPAddress(ipaddress.ip_address("::1")),
            ]
        )
        usage = x509.ExtendedKeyUsage(
            [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        )
        certificate = (
            start(_name(name), key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(alternatives, critical=False)
            .add_extension(usage, critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        issued[name] = {
            "certificate": certificate.public_bytes(serialization.Encoding.PEM).decode().strip(),
            "key": _pem_key(key),
        }
    return ca.public_bytes(serialization.Encoding.PEM).decode().strip(), issued


class _Authority(ResourceProvider):
    def create(self, props: dict[str, Any]) -> CreateResult:
        ca_pem, certificates = issue(props["authority"], list(props["names"]))
        expires = (datetime.now(UTC) + _LIFETIME).isoformat()
        return CreateResult(
            f"{props['authority']}-ca",
            {**props, "ca_pem": ca_pem, "certificates": certificates, "expires": expires},
        )

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        changed = [key for key in ("authority", "names") if _olds.get(key) != _news.get(key)]
        expires = _olds.get("expires")
        if expires and datetime.fromisoformat(expires) - datetime.now(UTC) < _RENEW_BEFORE:
            changed.append("expires")
        return DiffResult(changes=bool(changed), replaces=changed)


class CertificateAuthority(Resource, module="tls", name="CertificateAuthority"):
    """A CA of the stack's own and a certificate for each of `names`.

    Made anew 30 days before it expires (the servers take the new files at the same `up`).
    """

    ca_pem: pulumi.Output[str]
    certificates: pulumi.Output[dict[str, dict[str, str]]]

    def __init__(
        self, name: str, *, names: list[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        props = {
            "authority": f"rotation-drills {pulumi.get_stack()}",
            "names": names,
            "ca_pem": None,
            "certificates": None,
            "expires": None,
        }
        secret = pulumi.ResourceOptions(additional_secret_outputs=["certificates"])
        super().__init__(_Authority(), name, props, pulumi.ResourceOptions.merge(opts, secret))
