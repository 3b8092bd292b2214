"""The offline plugins' check: as strict as the published ones, and it names what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.offline_plugins import sdk
from tools.offline_plugins.check import Failure, Naming, check, convert_config
from tools.offline_plugins.postgresql.catalog import KINDS
from tools.offline_plugins.spec import Spec
from tools.offline_plugins.vault import catalog
from tools.offline_plugins.wire import UNKNOWN, Bag, decode, encode

ROLE = "postgresql:index/role:Role"
CONNECTION = "vault:database/secretBackendConnection:SecretBackendConnection"
MOUNT = "vault:index/mount:Mount"
GRANT = "postgresql:index/grant:Grant"


def spec_of(token: str) -> Spec:
    """The data of a served type."""
    return KINDS[token].data if token in KINDS else catalog.everything()[token]


def checked(token: str, inputs: dict, olds: dict | None = None, **naming: str | bool) -> Bag:
    """The checked inputs; fails when they are refused."""
    bag, failures = run(token, inputs, olds, **naming)
    assert failures == []
    return bag


def run(
    token: str, inputs: dict, olds: dict | None = None, **naming: str | bool
) -> tuple[Bag, list[Failure]]:
    """The check as the server calls it."""
    names = Naming(logical_name="orders", seed=b"seed", **naming)
    return check(sdk.schema(token), spec_of(token), Bag(inputs), Bag(olds or {}), names)


@pytest.mark.parametrize(
    ("token", "inputs", "property_", "reason"),
    [
        (MOUNT, {"path": "a", "type": "kv", "pth": "b"}, "pth", "no such property"),
        (MOUNT, {"type": "kv"}, "path", "required"),
        (MOUNT, {"path": ["a"], "type": "kv"}, "path", "a string is wanted"),
        (MOUNT, {"path": "a", "type": "kv", "local": "yes"}, "local", "a boolean is wanted"),
        (ROLE, {"connectionLimit": 1.5}, "connectionLimit", "an integer is wanted"),
        (ROLE, {"roles": "app"}, "roles", "a list is wanted"),
        (ROLE, {"roles": ["app", {"a": 1}]}, "roles[1]", "a string is wanted"),
        (
            CONNECTION,
            {"backend": "db", "postgresql": {"pasword": "x"}},
            "postgresql.pasword",
            "no such property",
        ),
        (
            CONNECTION,
            {"backend": "db", "postgresql": {"maxOpenConnections": "many"}},
            "postgresql.maxOpenConnections",
            "an integer is wanted",
        ),
        (
            GRANT,
            {"database": "a", "objectType": "tables", "privileges": [], "role": "r"},
            "objectType",
            "one of",
        ),
    ],
)
def test_a_refusal_names_the_property(
    token: str, inputs: dict, property_: str, reason: str
) -> None:
    """Unknown, mistyped and missing properties are refused by their full path."""
    failures = run(token, inputs)[1]
    assert [failure.property for failure in failures] == [property_]
    assert reason in failures[0].reason


def test_a_refusal_never_shows_the_value() -> None:
    """A failure says what kind of value came, not the value."""
    failures = run(ROLE, {"password": {"hidden": "s3cret-value"}})[1]
    assert "s3cret-value" not in repr(failures)


def test_unknown_values_pass() -> None:
    """What only an update will settle is taken as given, at any depth."""
    bag = checked(CONNECTION, {"backend": UNKNOWN, "postgresql": {"passwordWo": UNKNOWN}})
    assert bag.values["backend"] is UNKNOWN
    assert bag.values["postgresql"]["passwordWo"] is UNKNOWN


def test_defaults_are_those_of_the_recording() -> None:
    """A Postgres role gets the four defaults that the published plugin records, and their names."""
    bag = checked(ROLE, {"name": "app"})
    assert bag.values == {
        "name": "app",
        "connectionLimit": -1,
        "encryptedPassword": True,
        "inherit": True,
        "validUntil": "infinity",
        "__defaults": ["connectionLimit", "encryptedPassword", "inherit", "validUntil"],
    }


def test_defaults_reach_into_blocks() -> None:
    """A nested block gets its own defaults and its own list of them."""
    block = checked(CONNECTION, {"backend": "db", "postgresql": {}}).values["postgresql"]
    assert block == {
        "maxOpenConnections": 2,
        "passwordAuthentication": "password",
        "__defaults": ["maxOpenConnections", "passwordAuthentication"],
    }


@pytest.mark.parametrize(
    ("given_", "converted"),
    [("60", 60), (60.0, 60), (60, 60)],
)
def test_scalars_are_converted_where_the_text_is_plain(given_: object, converted: int) -> None:
    """`"60"` is an integer where one is wanted, as the bridge has it."""
    assert checked(ROLE, {"connectionLimit": given_}).values["connectionLimit"] == converted


def test_a_missing_name_is_made_once() -> None:
    """An omitted name is the logical name and seven hex digits, and stays on the next check."""
    first = checked(ROLE, {}).values
    name = first["name"]
    prefix, _, digits = name.rpartition("-")
    assert prefix == "orders"
    assert len(digits) == 7
    assert set(digits) <= set("0123456789abcdef")
    assert "name" in first["__defaults"]
    assert checked(ROLE, {}, first).values["name"] == name


def test_a_name_of_the_program_is_not_kept_once_it_is_gone() -> None:
    """Only a name that was made automatically is kept."""
    olds = {"name": "mine", "__defaults": ["inherit"]}
    assert checked(ROLE, {}, olds).values["name"] != "mine"


def test_naming_can_be_proposed_or_off() -> None:
    """The engine's naming settings are followed."""
    assert checked(ROLE, {}, proposed="wanted").values["name"] == "wanted"
    assert run(ROLE, {}, disabled=True)[1][0].property == "name"


def test_secrets_stay_secret() -> None:
    """What is secret by its type is wrapped, though the program gave it in clear."""
    bag = checked(CONNECTION, {"backend": "db", "postgresql": {"passwordWo": "s3cret-value"}})
    assert ("postgresql", "passwordWo") in bag.secrets
    again = decode(encode(bag.values, bag.secrets))
    assert again.secrets == bag.secrets
    assert again.values == bag.values


def test_provider_configuration_arrives_as_json_text() -> None:
    """Numbers and booleans of a provider come as text and are read as what they are."""
    config = sdk.provider_config("pulumi_vault")
    values = {"address": "https://vault", "skipChildToken": "true", "maxRetries": "3"}
    assert convert_config(config, values) == {
        "address": "https://vault",
        "skipChildToken": True,
        "maxRetries": 3,
    }


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(alphabet='abc -{}\n"é', max_size=8)
    | st.just(UNKNOWN),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet="abcxyz", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(alphabet="abcxyz", min_size=1, max_size=6), _VALUES, max_size=5))
def test_values_survive_the_wire(values: dict) -> None:
    """What is written to a message is read back the same, secrets included."""
    secrets = {(name,) for name in values if name < "b"}
    bag = decode(encode(values, secrets))
    assert bag.values == values
    assert bag.secrets == secrets


def test_a_type_that_is_not_served_says_who_serves_it() -> None:
    """The error names the type and the published plugin."""
    from tools.offline_plugins.server import UnsupportedTypeError

    assert catalog.find("vault:index/namespace:Namespace") is None
    said = str(UnsupportedTypeError("vault:index/namespace:Namespace", "vault", "7.14.0"))
    assert "vault:index/namespace:Namespace" in said
    assert "published plugin pulumi-resource-vault v7.14.0" in said
