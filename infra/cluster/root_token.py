"""A root token out of key shares, for the day when the provisioner's own has expired."""

from __future__ import annotations

import base64
from typing import Any


def generate_root(client: Any, keys: list[str]) -> str:
    """Return a root token made by Vault's sys/generate-root; `keys` must reach the threshold.

    They are unseal keys, or recovery keys where a seal unseals. Whoever calls this revokes it.
    """
    client.sys.cancel_root_generation()
    started = client.sys.start_root_token_generation()
    otp, nonce = started["otp"], started["nonce"]
    for key in keys:
        told = client.sys.generate_root(key, nonce)
    sealed = base64.b64decode(told["encoded_root_token"] + "==")
    return bytes(a ^ b for a, b in zip(sealed, otp.encode(), strict=True)).decode()
