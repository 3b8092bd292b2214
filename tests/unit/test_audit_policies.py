"""Which rule grants a request is decided as Vault decides it."""

from __future__ import annotations

import itertools
import re
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drills.audit import hcl
from drills.audit.acl import Acl, Rule, needs_sudo

#: Few words, so that patterns and paths meet often.
_words = st.sampled_from(["a", "b", "ab", "creds"])
_paths = st.lists(_words, min_size=1, max_size=4).map("/".join)
_patterns = st.builds(
    lambda parts, end: "/".join(parts) + end,
    st.lists(st.one_of(_words, st.just("+")), min_size=1, max_size=4),
    st.sampled_from(["", "*", "/*"]),
).filter(lambda pattern: "+*" not in pattern)


def grants(patterns: dict[str, set[str]]) -> Acl:
    """Return the ACL of one policy with these paths."""
    return Acl(Rule("p", path, frozenset(rights)) for path, rights in patterns.items())


def reference(patterns: list[str], path: str) -> str | None:
    """Vault's documentation of priority matching, read out word by word.

    P1 is of lower priority if its first + or * comes earlier, if it ends in * and P2 does not, if
    it has more +, if it is shorter, if it is smaller lexicographically. An exact path beats all.
    """
    if path in patterns:
        return path

    def fits(pattern: str) -> bool:
        parts = [
            re.escape(part) if part != "+" else "[^/]*" for part in pattern.rstrip("*").split("/")
        ]
        return (
            re.fullmatch("/".join(parts) + (".*" if pattern.endswith("*") else ""), path, re.DOTALL)
            is not None
        )

    def first_wildcard(pattern: str) -> int:
        return min(index for index, char in enumerate(pattern) if char in "+*")

    fitting = [each for each in patterns if re.search(r"[+*]", each) and fits(each)]
    best: str | None = None
    for each in fitting:
        if best is None:
            best = each
            continue
        for lower in (
            first_wildcard(each) - first_wildcard(best),
            best.endswith("*") - each.endswith("*"),
            best.count("+") - each.count("+"),
            len(each) - len(best),
            (each > best) - (each < best),
        ):
            if lower:
                best = each if lower > 0 else best
                break
    return best


@given(patterns=st.lists(_patterns, min_size=1, max_size=6, unique=True), path=_paths)
@example(patterns=["a/*", "a/+"], path="a/b")
@example(patterns=["a/+/*", "a/b/*", "+/b/creds"], path="a/b/creds")
def test_the_rule_that_wins_is_the_documented_one(patterns: list[str], path: str) -> None:
    """Of all patterns that match a path, the one wins that Vault's documentation says."""
    acl = grants({pattern: {"read"} for pattern in patterns})
    found = {rule.path for rule in acl.rules(path, "read")}
    expected = reference(patterns, path)
    assert found == ({expected} if expected else set())


def test_a_list_matches_without_its_slash() -> None:
    """LIST asks with a trailing slash, and a rule without one grants it; a read's does not."""
    acl = grants({"secret/metadata": {"list", "read"}})
    assert acl.capabilities("secret/metadata/", "list") == {"list", "read"}
    assert acl.capabilities("secret/metadata/", "read") == set()


def test_deny_of_one_policy_denies_what_another_grants() -> None:
    """Rules with the same path count together, and deny among them refuses."""
    acl = Acl([Rule("p", "a/*", frozenset({"read"})), Rule("q", "a/*", frozenset({"deny"}))])
    assert acl.capabilities("a/b", "read") == set()
    assert acl.granting("a/b", "read") == []


def test_sudo_is_used_where_vault_wants_it() -> None:
    """`sudo` counts as used on a root-protected path, and as unused anywhere else."""
    acl = grants({"sys/*": {"read", "sudo"}})
    assert {right for _, right in acl.granting("sys/audit", "read")} == {"read", "sudo"}
    assert {right for _, right in acl.granting("sys/metrics", "read")} == {"read"}
    assert needs_sudo("sys/leases/revoke-prefix/database/creds/orders")
    assert not needs_sudo("sys/leases/lookup")


def test_an_entitys_id_in_a_path_is_its_own() -> None:
    """A templated path grants each entity its own place only."""
    acl = grants({"secret/{{identity.entity.id}}/*": {"read"}})
    assert acl.granting("secret/e-1/x", "read", entity_id="e-1")
    assert not acl.granting("secret/e-1/x", "read", entity_id="e-2")
    assert not acl.granting("secret/e-1/x", "read")


def test_what_the_log_does_not_tell_stands_for_one_segment() -> None:
    """A template that the log can't resolve is taken to be what the path has there."""
    acl = grants({"secret/{{identity.entity.metadata.team}}/*": {"read"}, "secret/x/*": {"deny"}})
    assert acl.granting("secret/blue/key", "read", entity_id="e-1")
    assert not acl.granting("secret/x/key", "read", entity_id="e-1")
    assert not acl.granting("secret/blue", "read", entity_id="e-1")


HCL = """
# the orders service
path "database/creds/orders" { capabilities = ["read"] }
path "/secret/data/+/orders/*" {
  capabilities = ["read", "list",]
  /* whoever
     writes */
  allowed_parameters = { "ttl" = ["1h"], "*" = [] }
  min_wrapping_ttl = "1s"
}
path "old" { policy = "write" }
path "both" { capabilities = ["read", "deny"] }
"""
JSON = '{"path": {"database/creds/orders": {"capabilities": ["read"]}, "old": {"policy": "write"}}}'


def test_policies_are_read_as_hcl_and_as_json() -> None:
    """Comments, trailing commas, nested blocks, old-style policies: what Vault takes is taken."""
    assert dict(hcl.parse(HCL)) == {
        "database/creds/orders": {"read"},
        "secret/data/+/orders/*": {"read", "list"},
        "old": {"create", "read", "update", "delete", "list"},
        "both": {"deny"},
    }
    assert dict(hcl.parse(JSON)) == {
        "database/creds/orders": {"read"},
        "old": {"create", "read", "update", "delete", "list"},
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('path "a" { capabilities = ["reed"] }', "no capability 'reed'"),
        ('path "a" {\n capabilities = ["read"]', "line 2: a closing brace"),
        ('path "a', "a string does not end"),
        ('path "a/+*" { capabilities = ["read"] }', "forbidden"),
        ('path "a" { policy = "all" }', "no policy 'all'"),
        ("path", "has no value"),
        ("}", "unexpected '}'"),
    ],
)
def test_a_wrong_policy_is_one_line(text: str, told: str) -> None:
    """What is wrong with a policy is said in one line."""
    with pytest.raises(hcl.PolicyError, match=re.escape(told)) as error:
        hcl.parse(text)
    assert "\n" not in str(error.value)


@given(st.text(alphabet='path "{}[]=,:\n#/*\\ab<-', max_size=60))
def test_any_text_is_a_policy_or_an_error(text: str) -> None:
    """No text makes the parser fail in another way than by saying so."""
    with suppress(hcl.PolicyError):
        hcl.parse(text)


def test_every_capability_is_read() -> None:
    """Each capability that Vault has is taken, in any company but deny's."""
    for pair in itertools.combinations(sorted(hcl.CAPABILITIES - {"deny"}), 2):
        text = f'path "a" {{ capabilities = ["{pair[0]}", "{pair[1]}"] }}'
        assert hcl.parse(text) == [("a", frozenset(pair))]
