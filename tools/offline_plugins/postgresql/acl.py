"""What Postgres' access control lists say: which privileges there are, and who holds them."""

from __future__ import annotations

from typing import Any

from tools.offline_plugins.postgresql.session import Session
from tools.offline_plugins.spec import words

_TABLE = "SELECT INSERT UPDATE DELETE TRUNCATE REFERENCES TRIGGER"
ALLOWED = {
    "database": words("CREATE CONNECT TEMPORARY TEMP"),
    "schema": words("CREATE USAGE"),
    "table": words(f"{_TABLE} MAINTAIN"),
    "column": words("SELECT INSERT UPDATE REFERENCES"),
    "sequence": words("USAGE SELECT UPDATE"),
    "function": words("EXECUTE"),
    "procedure": words("EXECUTE"),
    "routine": words("EXECUTE"),
    "foreign_data_wrapper": words("USAGE"),
    "foreign_server": words("USAGE"),
    "type": words("USAGE"),
}
_RELKINDS = {"table": ["r", "v", "m", "p", "f"], "sequence": ["S"]}
PROKINDS = {"function": ["f", "w"], "procedure": ["p"], "routine": ["f", "p", "w"]}


def held(session: Session, known: dict[str, Any], grantee: int) -> list[str]:
    """The state's privileges while every object has just these, none when one has others."""
    kind, schema = known["objectType"], known.get("schema")
    wanted = sorted(known.get("privileges") or [])
    if kind == "database":
        acl = "select datacl from pg_database where datname = %s"
        return _of_one(session, acl, [known["database"]], grantee)
    if kind == "schema":
        return _of_one(
            session, "select nspacl from pg_namespace where nspname = %s", [schema], grantee
        )
    objects = [str(name).partition("(")[0] for name in known.get("objects") or []]
    if kind == "foreign_data_wrapper":
        acl = "select fdwacl from pg_foreign_data_wrapper where fdwname = %s"
        return _of_one(session, acl, objects[:1], grantee)
    if kind == "foreign_server":
        acl = "select srvacl from pg_foreign_server where srvname = %s"
        return _of_one(session, acl, objects[:1], grantee)
    if kind == "column":
        rows = session.rows(
            "select attname, array(select privilege_type from aclexplode(attacl) a "
            "where a.grantee = %s) from pg_attribute t join pg_class c on c.oid = t.attrelid "
            "join pg_namespace n on n.oid = c.relnamespace "
            "where nspname = %s and relname = %s and attname = any(%s)",
            grantee,
            schema,
            objects[0],
            list(known.get("columns") or []),
        )
    elif kind in _RELKINDS:
        rows = session.rows(
            "select relname, array(select privilege_type from aclexplode(relacl) a "
            "where a.grantee = %s) from pg_class c join pg_namespace n on n.oid = c.relnamespace "
            "where nspname = %s and relkind = any(%s)",
            grantee,
            schema,
            _RELKINDS[kind],
        )
    else:
        rows = session.rows(
            "select proname, array(select privilege_type from "
            "aclexplode(coalesce(proacl, acldefault('f', proowner))) a where a.grantee = %s) "
            "from pg_proc p join pg_namespace n on n.oid = p.pronamespace "
            "where nspname = %s and prokind = any(%s)",
            grantee,
            schema,
            PROKINDS[kind],
        )
    have_all = {str(name): sorted(set(have)) for name, have in rows}
    if objects and kind != "column":
        have_all = {name: have_all.get(name, []) for name in objects}
    elif kind == "column":
        have_all = {name: have_all.get(name, []) for name in known.get("columns") or []}
    whole = sorted(ALLOWED[kind]) if wanted == ["ALL"] else wanted
    without = [p for p in whole if p != "MAINTAIN"] if wanted == ["ALL"] else whole
    return wanted if all(have in (whole, without) for have in have_all.values()) else []


def _of_one(session: Session, acl: str, key: list[Any], grantee: int) -> list[str]:
    rows = session.rows(
        f"select distinct privilege_type from aclexplode(({acl})) a where a.grantee = %s",  # noqa: S608
        *key,
        grantee,
    )
    return sorted(str(row[0]) for row in rows)
