"""The recorded state, as a program's resources and as what the exported state has to be."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_HERE = Path(__file__).parent
_MADE_ANEW = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # uuid
    r"|(?<=_)[0-9a-f]{8}\b"  # accessor of a mount
    r"|([0-9a-f]{2}:){10,}[0-9a-f]{2}"  # serial number
    r"|\d{4}-\d\d-\d\dT[\d:.]+Z"
    r"|-----BEGIN (?P<kind>[A-Z ]+)-----(.|\n)*|^ssh-ed25519 .*\n"
    r"|^[A-Za-z0-9]{24}$"  # accessor of a token
)


@cache
def recorded() -> tuple[dict[str, Any], ...]:
    """What the published plugins wrote, in the order of creation."""
    return tuple(json.loads((_HERE / "recorded.json").read_text(encoding="utf-8")))


@cache
def schemas(package: str) -> dict[str, Any]:
    """What the published plugin says of its types."""
    text = (_HERE / "schemas" / f"{package}.json").read_text(encoding="utf-8")
    resources: dict[str, Any] = json.loads(text)["resources"]
    return resources


def alike(value: Any) -> Any:
    """The value with everything that is made anew each time replaced by its shape."""
    if isinstance(value, dict):
        return {name: alike(item) for name, item in value.items() if name != "__defaults"}
    if isinstance(value, list):
        return [alike(item) for item in value]
    return _MADE_ANEW.sub("<made>", value) if isinstance(value, str) else value


def fill(value: Any, made: dict[str, Any]) -> Any:
    """A recorded input with what this run made in its place."""
    if isinstance(value, dict):
        if "$made" in value:
            return made[value["$made"]]
        return {name: fill(item, made) for name, item in value.items()}
    return [fill(item, made) for item in value] if isinstance(value, list) else value


def key_material() -> dict[str, str]:
    """A public key and a certificate, without the final newline that would never settle."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made-up")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {
        "public_key": public.decode().strip(),
        "ca_certificate": certificate.public_bytes(serialization.Encoding.PEM).decode().strip(),
    }
