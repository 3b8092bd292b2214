"""Which rule of which policy grants a request, decided as Vault decides it.

Source: Vault's documentation of policies ("Priority matching") and its ACL: an exact path comes
first, then of the patterns that match the one whose first wildcard is furthest right, that is no
prefix, that has fewer `+`, that is longer, that sorts last. Rules with the same path count
together, and `deny` among them refuses. A LIST matches with and without its trailing slash.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_TEMPLATE = re.compile(r"\{\{\s*(.*?)\s*\}\}")
#: Operations that are granted by another capability than their own name.
_CAPABILITY = {"revoke": "update", "renew": "update", "rollback": "update"}

#: Where Vault wants `sudo` besides (documentation: root-protected API endpoints).
_SUDO = re.compile(
    r"""auth/token/(accessors/|revoke-orphan)
      | [^/]+/root(/sign-self-issued)?
      | sys/( audit(/.+)? | auth/.+ | config/(auditing/.+|cors|ui/headers/.*)
            | internal/(inspect/.+|counters/activity/export)
            | leases | leases/lookup/.* | (leases/)?revoke-(force|prefix)/.+
            | plugins/(catalog|runtimes/catalog)/.* | raw(/.*)? | remount | rotate | seal
            | step-down | storage/raft/snapshot-auto/config/.*
            | replication/((dr/|performance/)?(primary/secondary-token|reindex)) )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Rule:
    """One path of one policy, and what it grants there."""

    policy: str
    path: str
    capabilities: frozenset[str]


def needs_sudo(path: str) -> bool:
    """Whether Vault wants `sudo` for this path, besides the operation's own capability."""
    return _SUDO.fullmatch(path) is not None


def capability_of(operation: str) -> str:
    """Return the capability that an operation of the audit log needs."""
    return _CAPABILITY.get(operation, operation)


def _is_segmented(path: str) -> bool:
    return path == "+" or "/+" in path or path.startswith("+/")


def _segments_match(pattern: str, path: str) -> bool:
    prefix = pattern.endswith("*")
    wanted, given = pattern.removesuffix("*").split("/"), path.split("/")
    if len(given) < len(wanted) or (not prefix and len(given) != len(wanted)):
        return False
    last = len(wanted) - 1
    return all(
        want in {"+", part} or (prefix and index == last and part.startswith(want))
        for index, (want, part) in enumerate(zip(wanted, given, strict=False))
    )


def _rank(pattern: str) -> tuple[int, bool, int, int, str]:
    """Order patterns that match one path; the greatest wins."""
    bare = pattern.removesuffix("*")
    if not _is_segmented(pattern):
        return len(bare), False, 0, len(bare), bare
    pluses = bare.split("/").count("+")
    return pattern.index("+"), not pattern.endswith("*"), -pluses, len(bare), bare


def _expanded(pattern: str, path: str, entity_id: str) -> str | None:
    """Return a templated pattern as it is for who asked for `path`, None if it can't be theirs.

    An entity's id is in the log. What else templates can name (names, metadata, groups) is not:
    that stands for whatever one segment of the path has there, so that a use may be ascribed to
    the rule that was another's, but never a used rule be called unused.
    """
    expression, unknown, position = "", 0, 0
    for found in _TEMPLATE.finditer(pattern):
        expression += _as_expression(pattern[position : found.start()])
        if found[1] == "identity.entity.id":
            if not entity_id:
                return None
            expression += re.escape(entity_id)
        else:
            expression += "([^/]+)"
            unknown += 1
        position = found.end()
    expression += _as_expression(pattern[position:])
    if expression.endswith(re.escape("*")):
        expression = expression.removesuffix(re.escape("*")) + ".*"
    fits = re.fullmatch(expression, path)
    if fits is None:
        return None
    values = iter(fits.groups())
    return _TEMPLATE.sub(
        lambda found: entity_id if found[1] == "identity.entity.id" else next(values), pattern
    )


def _as_expression(text: str) -> str:
    return "/".join("[^/]*" if part == "+" else re.escape(part) for part in text.split("/"))


class Acl:
    """The rules of all policies of one token."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._exact: dict[str, list[Rule]] = {}
        self._prefix: dict[str, list[Rule]] = {}
        self._segmented: dict[str, list[Rule]] = {}
        self._templated: list[Rule] = []
        for rule in rules:
            if _TEMPLATE.search(rule.path):
                self._templated.append(rule)
            else:
                self._add(rule, rule.path)
        self._lengths = sorted({len(path) - 1 for path in self._prefix}, reverse=True)

    @property
    def templated(self) -> bool:
        """Whether what applies depends on who asks."""
        return bool(self._templated)

    def _add(self, rule: Rule, path: str) -> None:
        kind = self._exact
        if _is_segmented(path):
            kind = self._segmented
        elif path.endswith("*"):
            kind = self._prefix
        kind.setdefault(path, []).append(rule)

    def rules(self, path: str, operation: str, *, entity_id: str = "") -> list[Rule]:
        """Return the rules that decide on a request: all that have the path that wins."""
        if self._templated:
            return self._for(path, entity_id).rules(path, operation)
        path = path.lstrip("/")
        bare = path.removesuffix("/") if operation == "list" else path
        exact = self._exact.get(path) or self._exact.get(bare)
        return exact or self._by_pattern(bare) or (self._by_pattern(path) if bare != path else [])

    def _for(self, path: str, entity_id: str) -> Acl:
        acl = Acl(())
        for kind in (self._exact, self._prefix, self._segmented):
            for rules in kind.values():
                for rule in rules:
                    acl._add(rule, rule.path)
        for rule in self._templated:
            for each in {path, path.removesuffix("/")}:
                expanded = _expanded(rule.path, each, entity_id)
                if expanded is not None:
                    acl._add(rule, expanded)
                    break
        acl._lengths = sorted({len(each) - 1 for each in acl._prefix}, reverse=True)
        return acl

    def _by_pattern(self, path: str) -> list[Rule]:
        fits = [pattern for pattern in self._segmented if _segments_match(pattern, path)]
        for length in self._lengths:
            pattern = f"{path[:length]}*"
            if length <= len(path) and pattern in self._prefix:
                fits.append(pattern)
                break
        if not fits:
            return []
        best = max(fits, key=_rank)
        return self._segmented.get(best) or self._prefix[best]

    def capabilities(self, path: str, operation: str = "list", *, entity_id: str = "") -> set[str]:
        """Return what is granted on a path, as `vault token capabilities` tells; deny is empty."""
        rules = self.rules(path, operation, entity_id=entity_id)
        found = {capability for rule in rules for capability in rule.capabilities}
        return set() if "deny" in found else found

    def granting(self, path: str, operation: str, *, entity_id: str = "") -> list[tuple[Rule, str]]:
        """Return each rule with the capability of its that lets this request pass.

        Several policies that grant the same path all do. `sudo` counts where Vault wants it.
        """
        rules = self.rules(path, operation, entity_id=entity_id)
        if any("deny" in rule.capabilities for rule in rules):
            return []
        wanted = {capability_of(operation), *(["sudo"] if needs_sudo(path) else [])}
        return [(rule, each) for rule in rules for each in sorted(wanted & rule.capabilities)]
