"""A Vault credential is found before it is committed, and what may stay is allowed by name."""

from __future__ import annotations

import secrets
import string
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tools import secret_scan

CHECKOUT = Path(__file__).parents[2]
SCAN = CHECKOUT / "tools" / "secret_scan.py"
_LETTERS = string.ascii_letters + string.digits


def made_up(length: int) -> str:
    """Random characters: nothing that looks like a credential stands in this file."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length - 2)) + "A7"


UUID = "-".join(secrets.token_hex(size) for size in (4, 2, 2, 2, 6))
SECRETS = {
    "vault-token": ["hvs." + made_up(91), "hvs." + made_up(24), "hvb." + made_up(140)],
    "vault-token-old": ["s." + made_up(24)],
    "secret-id": [f'secret_id = "{UUID}"', f"SECRET_ID={UUID}", f'"secretId": "{UUID}"'],
    "lease-id": ["database/creds/orders/" + made_up(24)],
    "unseal-key": [f"Unseal Key 1: {made_up(44)}", f'"unseal_keys_hex": ["{"0a" * 33}"]'],
}


def scan(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """Run the hook as pre-commit does: in the repository, with the files' names."""
    return subprocess.run(
        [sys.executable, "-S", str(SCAN), *names],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in SECRETS.items() for text in texts]
)
def test_credentials_are_found_and_not_told(tmp_path: Path, kind: str, text: str) -> None:
    """Each kind of credential is found, by file, line and kind; its value is not printed."""
    (tmp_path / "app.env").write_text(f"first line\nvalue: {text} # note\n")
    done = scan(tmp_path, "app.env")
    assert done.returncode == 1
    assert done.stdout.startswith(f"app.env:2: {kind} ")
    assert text.rsplit(maxsplit=1)[-1].strip('"[]') not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "hvs.short",
        "token = vault.login(secret_id=given)",
        f"role_id = {UUID}",
        "self.s.everything_is_a_name_here",
        "database/creds/orders",
        "sha256: " + "0a" * 33,
    ],
)
def test_words_are_no_credentials(tmp_path: Path, text: str) -> None:
    """Code that speaks of credentials, ids that are public, and hashes are left alone."""
    (tmp_path / "app.py").write_text(text)
    assert scan(tmp_path, "app.py").returncode == 0


@pytest.mark.parametrize("mark", ["secret-scan: allow", "pragma: allowlist secret"])
def test_a_mark_allows_its_line_only(tmp_path: Path, mark: str) -> None:
    """A mark lets one line pass, and no other."""
    token = SECRETS["vault-token"][0]
    (tmp_path / "a").write_text(f"{token} # {mark}\n{token}\n")
    done = scan(tmp_path, "a")
    assert [line.split(":")[1] for line in done.stdout.splitlines()] == ["2"]


def test_the_allowlist_allows_one_secret_in_some_files(tmp_path: Path) -> None:
    """A fingerprint with a path pattern and a reason lets that secret stay there, no other."""
    allowed, other = SECRETS["vault-token"][:2]
    for name in ("docs", "src"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.md").write_text(f"{allowed}\n{other}\n")
    mark = secret_scan.fingerprint(allowed)
    (tmp_path / ".secret-scan-allow").write_text(f"# why\ndocs/* {mark} an example\n")
    found = scan(tmp_path, "docs/a.md", "src/a.md").stdout.splitlines()
    assert [line.rsplit(":", 1)[0] for line in found] == ["docs/a.md:2", "src/a.md:1", "src/a.md:2"]


@pytest.mark.parametrize("line", ["docs/*", "docs/* 0123 why", "docs/* 0123456789abcdef"])
def test_a_wrong_allowlist_is_one_line(tmp_path: Path, line: str) -> None:
    """An allowlist line without fingerprint or reason is refused, by its number."""
    (tmp_path / "a").write_text("nothing")
    (tmp_path / ".secret-scan-allow").write_text(f"\n{line}\n")
    done = scan(tmp_path, "a")
    assert done.returncode == 2
    assert done.stderr.startswith("secret_scan: .secret-scan-allow:2: ")
    assert done.stderr.count("\n") == 1


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    """A file that is not there is told in one line, exit 2."""
    done = scan(tmp_path, "gone")
    assert (done.returncode, done.stderr) == (2, "secret_scan: gone: No such file or directory\n")


@given(
    st.text(alphabet=_LETTERS, min_size=24, max_size=120),
    st.sampled_from([" ", '"', "'", "=", "\n"]),
)
def test_a_token_is_found_wherever_it_stands(body: str, before: str) -> None:
    """Whatever stands before a token, it is found, once."""
    text = f"x{before}hvs.{body}{before}y"
    assert [each.kind for each in secret_scan.finds(Path("a"), text)] == ["vault-token"]


def test_the_hook_names_a_program_that_is_there() -> None:
    """What .pre-commit-hooks.yaml names can be run."""
    (hook,) = yaml.safe_load((CHECKOUT / ".pre-commit-hooks.yaml").read_text())
    assert (CHECKOUT / hook["entry"]) == SCAN
    assert SCAN.stat().st_mode & 0o111


def test_this_repository_holds_none() -> None:
    """No file of this repository has a credential of Vault's in it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    names = [name for name in listed.stdout.split("\0") if name and (CHECKOUT / name).is_file()]
    if not names:
        pytest.skip("not a git checkout")
    done = scan(CHECKOUT, *names)
    assert (done.returncode, done.stdout) == (0, "")
