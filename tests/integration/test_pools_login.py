"""The ways to log in to a real Vault, and what Vault asks of those who come too often."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from loadtests.pools import CredentialsRefused, LeaseAwarePool
from loadtests.target import Jwt, TokenFile
from loadtests.vault import VaultClient, VaultUnavailable
from tests.integration.pool_load import query, works
from tests.integration.pool_servers import Servers, until

pytestmark = pytest.mark.slow


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _signed(key: rsa.RSAPrivateKey, claims: dict[str, object]) -> str:
    """Return a JWT (RFC 7519) of `claims`, signed by RS256."""
    head = json.dumps({"alg": "RS256", "typ": "JWT"}).encode()
    text = f"{_part(head)}.{_part(json.dumps(claims).encode())}"
    return f"{text}.{_part(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def test_a_jwt_logs_in_and_a_wrong_one_is_typed(healthy: Servers, tmp_path: Path) -> None:
    """A service account's token out of a file serves; one that another key signed is refused."""
    key, other = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    operator = healthy.operator()
    operator.sys.enable_auth_method("jwt")
    try:
        operator.write_data("auth/jwt/config", data={"jwt_validation_pubkeys": [public.decode()]})
        operator.write_data(
            "auth/jwt/role/orders",
            data={
                "role_type": "jwt",
                "user_claim": "sub",
                "bound_audiences": ["vault"],
                "token_policies": ["orders"],
                "token_ttl": "10m",
            },
        )
        now = int(time.time())
        claims = {"sub": "orders", "aud": "vault", "iat": now - 60, "nbf": now - 60}
        claims["exp"] = now + 3600
        file = tmp_path / "jwt"
        file.write_text(_signed(key, claims))
        target = healthy.target(auth=Jwt(method="jwt", mount="jwt", role="orders", path=file))
        with LeaseAwarePool(target, min_size=1) as pool:
            pool.wait()
            query(pool)
            assert pool.lease()["logins"] == 1
        assert healthy.leases() == []
        file.write_text(_signed(other, claims))
        pool = LeaseAwarePool(target, min_size=1)
        pool.open()
        with pytest.raises(CredentialsRefused, match="login"):
            pool.wait()
    finally:
        operator.sys.disable_auth_method("jwt")


def test_a_token_file_serves_and_its_token_is_left_alone(healthy: Servers, tmp_path: Path) -> None:
    """Somebody else's token gives leases; they are given back, the token stays; when it is
    replaced in its file, the next login uses the new one."""
    operator = healthy.operator()

    def token() -> str:
        made: str = operator.auth.token.create(policies=["orders"], ttl="10m")["auth"][
            "client_token"
        ]
        return made

    file = tmp_path / "token"
    first = token()
    file.write_text(first)
    with LeaseAwarePool(
        healthy.target(auth=TokenFile(method="token-file", path=file)), min_size=1, timeout=30
    ) as pool:
        pool.wait()
        query(pool)
        second = token()
        file.write_text(second)
        operator.auth.token.revoke(first)  # its leases go with it
        until(
            "a lease of the second token",
            lambda: works(pool) and pool.lease()["generation"] == 2,
            seconds=60,
        )
        query(pool)
    assert healthy.leases() == []
    assert operator.auth.token.lookup(second)["data"]["ttl"] > 0


def test_a_rate_limit_holds_up_everything_for_as_long_as_vault_says(healthy: Servers) -> None:
    """Vault's own Retry-After: what is asked next, whatever it is, is not sent."""
    operator = healthy.operator()
    operator.write_data("sys/quotas/config", data={"enable_rate_limit_response_headers": True})
    quota = "sys/quotas/rate-limit/of-a-test"
    client = VaultClient(healthy.target())
    token = client.login()
    operator.write_data(quota, data={"rate": 1, "interval": "600s", "path": "database"})
    try:
        with pytest.raises(VaultUnavailable, match="answered 429") as caught:
            [client.issue(token) for _ in range(3)]
        assert 0 < (caught.value.retry_after or 0) <= 600
        for call in (client.login, lambda: client.renew_token(token)):
            with pytest.raises(VaultUnavailable, match="not sent"):
                call()
    finally:
        operator.delete(quota)
        client.close()
