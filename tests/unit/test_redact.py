"""Secrets stay out of what is written."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from drills.redact import Secrets

VALUES = st.text(
    alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40
)


@given(secret=VALUES, before=st.text(max_size=20), after=st.text(max_size=20))
def test_known_secret_never_survives(secret: str, before: str, after: str) -> None:
    """No text still holds a known secret once it is redacted."""
    secrets = Secrets()
    secrets.add("password", secret)
    redacted = secrets.redact(before + secret + after)
    assert secret not in redacted or secret in "[password]"


def test_tokens_and_lease_ids_go_unseen_before() -> None:
    """Vault's tokens and lease ids are told by their shape, known or not."""
    text = "token hvs.CAESIJ1234567890abcdefghij lease database/creds/orders/Ab12Cd34Ef56Gh78Ij90Kl"
    redacted = Secrets().redact(text)
    assert "hvs." not in redacted
    assert "Ab12" not in redacted
    assert "database/creds/orders/" in redacted


def test_scan_names_file_and_kind_alone(tmp_path: Path) -> None:
    """A hit tells file and kind of a secret, never the secret."""
    (tmp_path / "clean.log").write_text("all well")
    (tmp_path / "bad.log").write_bytes(b"\xff password=abc-123-def-456 \xff")
    secrets = Secrets()
    secrets.add("password", "abc-123-def-456")
    assert secrets.scan(sorted(tmp_path.iterdir())) == [{"file": "bad.log", "kind": "password"}]


def test_words_are_no_secrets() -> None:
    """What is too short to be told from a word is not searched for."""
    secrets = Secrets()
    secrets.add("password", "orders")
    assert len(secrets) == 0
