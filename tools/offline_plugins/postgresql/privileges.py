"""Privileges: on objects, on objects to come, memberships."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from tools.offline_plugins.postgresql.acl import ALLOWED, PROKINDS, held
from tools.offline_plugins.postgresql.kind import PostgresqlKind
from tools.offline_plugins.postgresql.session import PUBLIC, Session, role_name
from tools.offline_plugins.server import ResourceError
from tools.offline_plugins.spec import Spec, sets, words

_DEFAULT_KINDS = {
    "table": "r",
    "sequence": "S",
    "function": "f",
    "routine": "f",
    "type": "T",
    "schema": "n",
}


def _all_is_all(name: str, old: Any, new: Any) -> bool:
    """`ALL` in the program is every privilege that a kind of object has."""
    if name != "privileges" or new != ["ALL"] or not isinstance(old, list):
        return False
    have = set(old)
    return any(have in (set(a), set(a) - {"TEMP"}, set(a) - {"MAINTAIN"}) for a in ALLOWED.values())


def _allowed(token: str, kind: str, privileges: list[str]) -> None:
    for privilege in privileges:
        if privilege != "ALL" and privilege not in ALLOWED[kind]:
            raise ResourceError(f"{token}: privileges: {privilege} is not a privilege on {kind}")


def _privileges(inputs: dict[str, Any]) -> sql.Composable:
    return sql.SQL(", ").join(sql.SQL(name) for name in sorted(inputs["privileges"]))


def _grantee(session: Session, role: str) -> int | None:
    if role.lower() == PUBLIC:
        return 0
    row = session.row("select oid from pg_roles where rolname = %s", role)
    return None if row is None else int(row[0])


class GrantKind(PostgresqlKind):
    """Privileges of a role on a database, a schema, or the objects in one."""

    data = Spec(
        resource="postgresql:index/grant:Grant",
        replaces=words("columns database objectType objects role schema withGrantOption"),
        compare=sets("columns objects privileges"),
        choices={"objectType": tuple(name for name in ALLOWED if name != "type")},
        same=_all_is_all,
    )

    def identify(self, inputs: dict[str, Any]) -> str:
        """The names, joined."""
        parts = [inputs["role"], inputs["database"]]
        if inputs["objectType"] not in {"database", "foreign_data_wrapper", "foreign_server"}:
            parts.append(inputs.get("schema") or "")
        parts.append(inputs["objectType"])
        parts += sorted(inputs.get("objects") or []) + sorted(inputs.get("columns") or [])
        return "_".join(parts)

    def make(self, inputs: dict[str, Any]) -> None:
        """Revoke all, then grant, in one transaction: no moment without."""
        kind = inputs["objectType"]
        _allowed(self.say(inputs), kind, inputs["privileges"])
        with self.server.changing(self.say(inputs), _place(inputs)) as session:
            owners = _owners(session, inputs)
            with session.granted(*owners):
                target = _target(inputs)
                role = role_name(inputs["role"])
                session.run("REVOKE ALL PRIVILEGES ON {t} FROM {r}", t=target, r=role)
                if not inputs["privileges"]:
                    return
                what = _privileges(inputs)
                if kind == "column":
                    columns = sql.SQL(", ").join(map(sql.Identifier, inputs.get("columns") or []))
                    what = sql.SQL("{} ({})").format(what, columns)
                option = " WITH GRANT OPTION" if inputs.get("withGrantOption") else ""
                session.run("GRANT {p} ON {t} TO {r}" + option, p=what, t=target, r=role)

    def alter(self, olds: dict[str, Any], news: dict[str, Any]) -> None:
        """As making it: everything is revoked first."""
        self.make(news)

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """Revoke; gone already with its role, database or schema."""
        if self.gather(olds) is None:
            return
        with (
            self.server.changing(self.say(olds), _place(olds)) as session,
            session.granted(*_owners(session, olds)),
        ):
            target, role = _target(olds), role_name(olds["role"])
            session.run("REVOKE ALL PRIVILEGES ON {t} FROM {r}", t=target, r=role)

    def gather(self, known: dict[str, Any]) -> dict[str, Any] | None:
        """The privileges; none at all when one object has others than the state says."""
        database, schema = known["database"], known.get("schema")
        with self.server.reading(self.say(known)) as session:
            grantee = _grantee(session, known["role"])
            there = session.row("select from pg_database where datname = %s", database)
        if grantee is None or there is None:
            return None
        with self.server.reading(self.say(known), _place(known)) as session:
            if schema and not session.rows("select from pg_namespace where nspname = %s", schema):
                return None
            privileges = held(session, known, grantee)
        names = ["columns", "database", "objectType", "objects", "role", "schema"]
        return {
            **{name: known.get(name) for name in names},
            "privileges": privileges,
            "withGrantOption": bool(known.get("withGrantOption")),
        }


def _place(inputs: dict[str, Any]) -> str | None:
    """The database to be in: any one for a grant on a database, which may shut us out of it."""
    return None if inputs["objectType"] == "database" else str(inputs["database"])


def _target(inputs: dict[str, Any]) -> sql.Composable:
    kind = inputs["objectType"]
    objects = inputs.get("objects") or []
    word = kind.replace("foreign_", "foreign ").replace("data_", "data ").upper()
    if kind == "database":
        return sql.SQL("DATABASE {}").format(sql.Identifier(inputs["database"]))
    if kind == "schema":
        return sql.SQL("SCHEMA {}").format(sql.Identifier(inputs["schema"]))
    if kind.startswith("foreign"):
        return sql.SQL(word + " {}").format(sql.Identifier(objects[0]))
    if kind == "column":
        table = sql.Identifier(inputs["schema"], objects[0])
        return sql.SQL("TABLE {}").format(table)
    if objects:
        names = [_signature(inputs["schema"], name, kind) for name in sorted(objects)]
        return sql.SQL(word + " {}").format(sql.SQL(", ").join(names))
    schema = sql.Identifier(inputs["schema"])
    return sql.SQL(f"ALL {word}S IN SCHEMA {{}}").format(schema)


def _signature(schema: str, name: str, kind: str) -> sql.Composable:
    """`f(int, text)` is the function's name and its arguments' types."""
    bare, bracket, arguments = name.partition("(")
    qualified = sql.Identifier(schema, bare)
    if kind not in PROKINDS or not bracket:
        return qualified
    if not all(letter.isalnum() or letter in " _,[]" for letter in arguments.rstrip(")")):
        raise ResourceError(f"objects: {name}: not a list of argument types")
    return sql.SQL("{}({})").format(qualified, sql.SQL(arguments.rstrip(")")))


def _owners(session: Session, inputs: dict[str, Any]) -> list[str]:
    """Whose objects these are: without superuser only they may grant on them."""
    schema = inputs.get("schema")
    if inputs["objectType"] == "database":
        query = "select pg_get_userbyid(datdba) from pg_database where datname = %s"
        return [str(row[0]) for row in session.rows(query, inputs["database"])]
    if not schema:
        return []
    rows = session.rows(
        "select pg_get_userbyid(nspowner) from pg_namespace where nspname = %s union "
        "select pg_get_userbyid(relowner) from pg_class c "
        "join pg_namespace n on n.oid = c.relnamespace where nspname = %s",
        schema,
        schema,
    )
    return [str(row[0]) for row in rows if str(row[0]) != "pg_database_owner"]


class DefaultPrivilegesKind(PostgresqlKind):
    """Privileges of a role on the objects that an owner will make."""

    data = Spec(
        resource="postgresql:index/defaultPrivileges:DefaultPrivileges",
        replaces=words("database objectType owner role schema withGrantOption"),
        compare=sets("privileges"),
        choices={"objectType": tuple(_DEFAULT_KINDS)},
        same=_all_is_all,
    )

    def identify(self, inputs: dict[str, Any]) -> str:
        """The names, joined."""
        schema = inputs.get("schema") or "noschema"
        return "_".join(
            [inputs["role"], inputs["database"], schema, inputs["owner"], inputs["objectType"]]
        )

    def make(self, inputs: dict[str, Any]) -> None:
        """Revoke all, then grant, in one transaction."""
        _allowed(self.say(inputs), inputs["objectType"], inputs["privileges"])
        with (
            self.server.changing(self.say(inputs), inputs["database"]) as session,
            session.granted(inputs["owner"]),
        ):
            self._revoke(session, inputs)
            if inputs["privileges"]:
                option = " WITH GRANT OPTION" if inputs.get("withGrantOption") else ""
                session.run(
                    "{scope} GRANT {p} ON {kinds} TO {r}" + option,
                    scope=_scope(inputs),
                    p=_privileges(inputs),
                    kinds=sql.SQL(f"{inputs['objectType'].upper()}S"),
                    r=role_name(inputs["role"]),
                )

    def alter(self, olds: dict[str, Any], news: dict[str, Any]) -> None:
        """As making them: everything is revoked first."""
        self.make(news)

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """Revoke; gone already with its role, owner, database or schema."""
        if self.gather(olds) is None:
            return
        with (
            self.server.changing(self.say(olds), olds["database"]) as session,
            session.granted(olds["owner"]),
        ):
            self._revoke(session, olds)

    def gather(self, known: dict[str, Any]) -> dict[str, Any] | None:
        """What pg_default_acl says."""
        database, schema = known["database"], known.get("schema")
        with self.server.reading(self.say(known)) as session:
            grantee = _grantee(session, known["role"])
            owner = _grantee(session, known["owner"])
            there = session.row("select from pg_database where datname = %s", database)
        if grantee is None or owner is None or there is None:
            return None
        with self.server.reading(self.say(known), database) as session:
            if schema and not session.rows("select from pg_namespace where nspname = %s", schema):
                return None
            rows = session.rows(
                "select distinct privilege_type from pg_default_acl d, aclexplode(defaclacl) a "
                "where defaclrole = %s and defaclobjtype = %s and a.grantee = %s "
                "and defaclnamespace = coalesce((select oid from pg_namespace "
                "where nspname = %s), 0)",
                owner,
                _DEFAULT_KINDS[known["objectType"]],
                grantee,
                schema,
            )
        held = sorted(str(row[0]) for row in rows)
        if _all_is_all("privileges", held, known.get("privileges")):
            held = ["ALL"]
        names = ["database", "objectType", "owner", "role", "schema"]
        return {
            **{name: known.get(name) for name in names},
            "privileges": held,
            "withGrantOption": bool(known.get("withGrantOption")),
        }

    def _revoke(self, session: Session, inputs: dict[str, Any]) -> None:
        session.run(
            "{scope} REVOKE ALL ON {kinds} FROM {r}",
            scope=_scope(inputs),
            kinds=sql.SQL(f"{inputs['objectType'].upper()}S"),
            r=role_name(inputs["role"]),
        )


def _scope(inputs: dict[str, Any]) -> sql.Composable:
    scope: sql.Composable = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {}").format(
        sql.Identifier(inputs["owner"])
    )
    if inputs.get("schema"):
        scope = sql.SQL("{} IN SCHEMA {}").format(scope, sql.Identifier(inputs["schema"]))
    return scope


class GrantRoleKind(PostgresqlKind):
    """A membership. `Role.roles` of the same member doesn't know of it, and takes it away."""

    data = Spec(
        resource="postgresql:index/grantRole:GrantRole",
        replaces=words("grantRole role withAdminOption"),
    )

    def identify(self, inputs: dict[str, Any]) -> str:
        """Member, role, admin option."""
        admin = "true" if inputs.get("withAdminOption") else "false"
        return f"{inputs['role']}_{inputs['grantRole']}_{admin}"

    def make(self, inputs: dict[str, Any]) -> None:
        """GRANT."""
        option = " WITH ADMIN OPTION" if inputs.get("withAdminOption") else ""
        with self.server.changing(self.say(inputs)) as session:
            session.run("REVOKE {} FROM {}", inputs["grantRole"], inputs["role"])
            session.run("GRANT {} TO {}" + option, inputs["grantRole"], inputs["role"])

    def alter(self, olds: dict[str, Any], news: dict[str, Any]) -> None:
        """Never: every input replaces it."""
        self.make(news)

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """REVOKE; gone already with either role."""
        if self.gather(olds) is not None:
            with self.server.changing(self.say(olds)) as session:
                session.run("REVOKE {} FROM {}", olds["grantRole"], olds["role"])

    def gather(self, known: dict[str, Any]) -> dict[str, Any] | None:
        """What pg_auth_members says."""
        with self.server.reading(self.say(known)) as session:
            row = session.row(
                "select bool_or(admin_option) from pg_auth_members "
                "where pg_get_userbyid(member) = %s and pg_get_userbyid(roleid) = %s "
                "having count(*) > 0",
                known["role"],
                known["grantRole"],
            )
        if row is None:
            return None
        return {
            "grantRole": known["grantRole"],
            "role": known["role"],
            "withAdminOption": bool(row[0]),
        }
