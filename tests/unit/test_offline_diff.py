"""The offline plugins' diff: against the recorded outputs, with the published plugins' data."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.offline_plugins import sdk
from tools.offline_plugins.check import Naming, check
from tools.offline_plugins.diff import diff, keeps_name, seconds
from tools.offline_plugins.postgresql.catalog import KINDS
from tools.offline_plugins.sdk import ListOf, MapOf, Object, Scalar, Type
from tools.offline_plugins.spec import Spec
from tools.offline_plugins.state import preview_of_create, refreshed_inputs, shape
from tools.offline_plugins.vault import catalog
from tools.offline_plugins.wire import UNKNOWN, Bag

CONTRACT = Path(__file__).parents[1] / "contract"
SPECS: dict[str, Spec] = {**catalog.everything(), **{t: k.data for t, k in KINDS.items()}}
PUBLISHED: dict[str, Any] = {
    token: declared
    for package in ("vault", "postgresql")
    for token, declared in json.loads((CONTRACT / "schemas" / f"{package}.json").read_text())[
        "resources"
    ].items()
}
RECORDED = json.loads((CONTRACT / "recorded.json").read_text())
ROLE = "postgresql:index/role:Role"
SECRET_ID = "vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId"
DATABASE_ROLE = "vault:database/secretBackendRole:SecretBackendRole"
CONNECTION = "vault:database/secretBackendConnection:SecretBackendConnection"

served = pytest.mark.parametrize("token", sorted(SPECS))


def published_type(declared: Any) -> tuple[Any, bool, bool]:
    """A property of the published schema: its type, whether it replaces, whether it is secret."""
    marks = {"replaces", "secret", "default", "deprecated"}
    found = set(declared) & marks if isinstance(declared, dict) else set()
    if found and set(declared) == found | {"type"}:
        return declared["type"], bool(declared.get("replaces")), bool(declared.get("secret"))
    return declared, False, False


def described(kind: Type) -> Any:
    """A type of the SDK in the published schema's notation."""
    if isinstance(kind, Scalar):
        return kind.kind
    if isinstance(kind, ListOf):
        return [described(kind.element)]
    if isinstance(kind, MapOf):
        return {"*": described(kind.element)}
    assert isinstance(kind, Object)
    return {name: described(inner) for name, inner in kind.fields.items()}


def bare(declared: Any) -> Any:
    """The published type without its marks."""
    kind = published_type(declared)[0]
    if isinstance(kind, dict):
        return {name: bare(inner) for name, inner in kind.items()}
    return [bare(inner) for inner in kind] if isinstance(kind, list) else kind


@served
def test_properties_are_the_published_ones(token: str) -> None:
    """Every property has the published type; those that only the SDK knows are marked absent."""
    ours, theirs = sdk.schema(token).inputs, PUBLISHED[token]["inputs"]
    absent = SPECS[token].absent
    blocks = {name for name in ours if isinstance(ours[name], Object) and name not in theirs}
    assert set(ours) - absent - blocks == set(theirs)
    assert {name: described(ours[name]) for name in theirs} == {
        name: bare(kind) for name, kind in theirs.items()
    }
    required = sdk.schema(token).required | SPECS[token].required
    assert required == set(PUBLISHED[token]["required"])


@served
def test_replacements_are_the_published_ones(token: str) -> None:
    """A property replaces its resource exactly where the published schema says so."""
    theirs = {n for n, d in PUBLISHED[token]["inputs"].items() if published_type(d)[1]}
    assert SPECS[token].replaces == theirs


@served
def test_secrets_are_the_published_ones(token: str) -> None:
    """The SDK's secret outputs, and the nested ones of our data, are what the schema marks."""
    declared = PUBLISHED[token]
    everything = {**declared["inputs"], **declared["computed"]}
    top = {name for name, kind in everything.items() if published_type(kind)[2]}
    assert sdk.schema(token).secrets - SPECS[token].absent == top
    nested = {
        f"{name}.{inner}"
        for name, kind in declared["inputs"].items()
        if isinstance(kind, dict)
        for inner, deep in kind.items()
        if isinstance(deep, dict) and deep.get("secret")
    }
    assert SPECS[token].secrets == nested


@served
def test_data_names_real_properties(token: str) -> None:
    """No table of ours speaks of a property that the SDK doesn't have."""
    spec, schema = SPECS[token], sdk.schema(token)
    names = {*schema.inputs, *schema.outputs}
    mentioned = {*spec.replaces, *spec.computed, *spec.compare, *spec.write_only, *spec.absent}
    mentioned |= {*spec.defaults, *getattr(spec, "kept", {}), *getattr(spec, "nullable", {})}
    mentioned |= {*getattr(spec, "unsent", {}), *getattr(spec, "rename", {})}
    assert {name.partition(".")[0] for name in mentioned} <= names


@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: entry["name"])
def test_a_published_state_is_clean(entry: dict[str, Any]) -> None:
    """A state that the published plugins wrote needs no change under ours, its secrets aside."""
    spec, schema = SPECS[entry["type"]], sdk.schema(entry["type"])
    outputs = copy.deepcopy(entry["outputs"])
    inputs = _as_recorded(entry["inputs"], outputs)
    bag, failures = check(schema, spec, Bag(inputs), Bag(), Naming())
    assert failures == []
    changed = {change.name for change in diff(schema, spec, outputs, bag.values)}
    assert changed == ({"roles"} if entry["name"] == "role-app-rw" else set())


def _as_recorded(inputs: Any, outputs: Any) -> Any:
    """The recorded inputs: where the fixture has a place holder, the output's own value."""
    result = {}
    for name, value in inputs.items():
        recorded = outputs.get(name)
        if isinstance(value, dict) and isinstance(recorded, dict) and "secret" not in recorded:
            result[name] = _as_recorded(value, recorded)
        elif "$" in json.dumps(value) and recorded is not None:
            result[name] = recorded
        else:
            result[name] = value
    # Blanked secrets: one that the program gave is the same text on both sides, others are empty.
    for name, value in outputs.items():
        if value == {"secret": True}:
            outputs[name] = None
            if name in result:
                result[name] = outputs[name] = '{"blank":1}'
    return result


@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: entry["name"])
def test_shape_is_the_recorded_one(entry: dict[str, Any]) -> None:
    """Shaping recorded outputs changes nothing: names, nulls and empty values are the same."""
    spec, schema = SPECS[entry["type"]], sdk.schema(entry["type"])
    shaped = shape(schema, spec, entry["id"], entry["outputs"])
    blank = {name for name, value in entry["outputs"].items() if value == {"secret": True}}
    assert set(shaped) == set(entry["outputs"])
    for name in set(shaped) - blank - {"postgresql"}:
        assert shaped[name] == entry["outputs"][name], name


def changes(token: str, olds: dict, news: dict, ignored: tuple[str, ...] = ()) -> dict[str, bool]:
    """What differs, and whether it replaces."""
    found = diff(sdk.schema(token), SPECS[token], olds, news, ignored)
    return {change.name: change.replaces for change in found}


def test_sets_have_no_order() -> None:
    """The order of privileges and memberships is no change."""
    olds = {"name": "a", "roles": ["x", "y"], "searchPaths": ["p", "q"]}
    assert changes(ROLE, olds, {"name": "a", "roles": ["y", "x"], "searchPaths": ["p", "q"]}) == {}
    assert "searchPaths" in changes(ROLE, olds, {**olds, "searchPaths": ["q", "p"]})


def test_json_is_compared_by_content() -> None:
    """Spaces and the order of keys in JSON text are no change."""
    olds = {"roleName": "r", "metadata": '{"a":1,"b":2}', "ttl": 60}
    news = {"roleName": "r", "metadata": '{ "b": 2, "a": 1 }', "ttl": 60}
    assert changes(SECRET_ID, olds, news) == {}


def test_a_secret_id_without_metadata_is_clean() -> None:
    """Metadata that was not given reads back as an empty object, and that is no change."""
    olds = {"roleName": "r", "metadata": "{}", "ttl": 60}
    assert changes(SECRET_ID, olds, {"roleName": "r", "ttl": 60}) == {}
    assert changes(SECRET_ID, {**olds, "metadata": '{"a":1}'}, {"roleName": "r", "ttl": 60})


def test_a_secret_id_without_a_ttl_is_replaced() -> None:
    """The role's ttl shows in the state, so a program without one replaces it at every update."""
    assert changes(SECRET_ID, {"roleName": "r", "ttl": 3600}, {"roleName": "r"}) == {"ttl": True}


def test_a_final_newline_is_a_change() -> None:
    """Vault strips PEM text, so text with a final newline never settles."""
    token = "vault:jwt/authBackend:AuthBackend"
    olds = {"jwtValidationPubkeys": ["PEM"]}
    assert "jwtValidationPubkeys" in changes(token, olds, {"jwtValidationPubkeys": ["PEM\n"]})


def test_what_is_left_out_is_a_change_unless_computed() -> None:
    """A removed ttl is a change; a plugin name that Vault filled in is not."""
    olds = {"defaultTtl": 60, "credentialType": "password", "maxTtl": 0}
    assert changes(DATABASE_ROLE, olds, {}) == {"defaultTtl": False}


def test_ignored_changes_are_dropped() -> None:
    """ignoreChanges covers a property and what is in it."""
    olds = {"backend": "a", "postgresql": {"username": "x", "maxOpenConnections": 2}}
    news = {"backend": "a", "postgresql": {"username": "y", "maxOpenConnections": 4}}
    assert changes(CONNECTION, olds, news, ("postgresql.username",)) == {
        "postgresql.maxOpenConnections": False
    }
    assert changes(CONNECTION, olds, news, ("postgresql",)) == {}


def test_write_only_values_change_by_their_version() -> None:
    """A new write-only password alone is no change; a new version of it is."""
    olds = {"name": "a", "passwordWo": None, "passwordWoVersion": "1"}
    same = {"name": "a", "passwordWo": "other", "passwordWoVersion": "1"}
    assert changes(ROLE, olds, same) == {}
    assert changes(ROLE, olds, {**same, "passwordWoVersion": "2"}) == {"passwordWoVersion": False}


def test_an_unknown_input_is_a_change() -> None:
    """What only the update will settle may differ, and may replace."""
    assert changes(DATABASE_ROLE, {"dbName": "a"}, {"dbName": UNKNOWN}) == {"dbName": True}


def test_a_replacement_of_the_same_name_deletes_first() -> None:
    """A given name can be borne once only; an automatic one is made anew."""
    schema = sdk.schema(DATABASE_ROLE)
    assert keeps_name(schema, {"name": "a"}, {"name": "a"})
    assert not keeps_name(schema, {"name": "a"}, {"name": "a", "__defaults": ["name"]})
    assert not keeps_name(sdk.schema(SECRET_ID), {}, {})


def test_a_preview_knows_the_inputs_and_nothing_computed() -> None:
    """Before its creation a resource's inputs are known, computed outputs are not."""
    token = "vault:index/mount:Mount"
    outputs = preview_of_create(sdk.schema(token), SPECS[token], {"path": "a", "type": "kv"})
    assert outputs["path"] == "a"
    assert outputs["accessor"] is UNKNOWN
    assert outputs["id"] is UNKNOWN
    assert outputs["description"] is None


def test_a_refresh_keeps_to_what_the_program_gave() -> None:
    """Refreshed inputs take the server's values, and gain no property the program left out."""
    schema, spec = sdk.schema(ROLE), SPECS[ROLE]
    olds = {"name": "a", "connectionLimit": -1, "roles": ["b", "a"], "__defaults": []}
    outputs = {"name": "a", "connectionLimit": 7, "roles": ["a", "b"], "login": True}
    news = refreshed_inputs(schema, spec, olds, outputs)
    assert news == {"name": "a", "connectionLimit": 7, "roles": ["b", "a"], "__defaults": []}


def test_durations_are_read_as_seconds() -> None:
    """Vault answers 90 where the program wrote 1m30s."""
    assert seconds("1m30s") == seconds(90) == seconds("90") == 90


def _values(kind: Type) -> st.SearchStrategy[Any]:
    if isinstance(kind, Scalar):
        return {
            "string": st.text(alphabet='abc{}" \n', max_size=6),
            "integer": st.integers(-5, 5),
            "number": st.integers(-5, 5),
            "boolean": st.booleans(),
        }[kind.kind]
    if isinstance(kind, ListOf):
        return st.lists(_values(kind.element), max_size=3)
    if isinstance(kind, MapOf):
        return st.dictionaries(st.text(alphabet="abc", min_size=1), _values(kind.element))
    if isinstance(kind, Object):
        return st.fixed_dictionaries(
            {}, optional={name: _values(inner) for name, inner in kind.fields.items()}
        )
    return st.none()


@served
@given(data=st.data())
def test_identical_inputs_never_differ(token: str, data: st.DataObject) -> None:
    """Inputs that a server took as they are give a state without a difference, and stay so."""
    schema, spec = sdk.schema(token), SPECS[token]
    kinds = {
        name: kind
        for name, kind in schema.inputs.items()
        if name not in spec.absent and name not in spec.write_only
    }
    inputs = data.draw(
        st.fixed_dictionaries({}, optional={n: _values(k) for n, k in kinds.items()})
    )
    outputs = shape(schema, spec, "id", inputs)
    assert diff(schema, spec, outputs, inputs) == []
    again = refreshed_inputs(schema, spec, inputs, outputs)
    assert diff(schema, spec, outputs, again) == []


def test_no_time_is_lost_on_imports() -> None:
    """Neither SDK is imported as a whole when a plugin starts."""
    code = (
        "import sys, tools.offline_plugins.vault.backend, tools.offline_plugins.postgresql.backend;"
        "sys.exit(any(m.startswith(('pulumi_vault', 'pulumi_postgresql')) for m in sys.modules))"
    )
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
