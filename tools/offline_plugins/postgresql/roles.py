"""Roles."""

from __future__ import annotations

import hashlib
from typing import Any

from psycopg import sql

from tools.offline_plugins.postgresql.kind import PostgresqlKind
from tools.offline_plugins.postgresql.session import Session
from tools.offline_plugins.server import ResourceError
from tools.offline_plugins.spec import Spec, sets, words

# property → column of pg_roles, option of ALTER ROLE
_FLAGS = {
    "bypassRowLevelSecurity": ("rolbypassrls", "BYPASSRLS"),
    "createDatabase": ("rolcreatedb", "CREATEDB"),
    "createRole": ("rolcreaterole", "CREATEROLE"),
    "inherit": ("rolinherit", "INHERIT"),
    "login": ("rolcanlogin", "LOGIN"),
    "replication": ("rolreplication", "REPLICATION"),
    "superuser": ("rolsuper", "SUPERUSER"),
}
# property → setting of the role, and whether it is a number
_SETTINGS = {
    "assumeRole": ("role", False),
    "idleInTransactionSessionTimeout": ("idle_in_transaction_session_timeout", True),
    "statementTimeout": ("statement_timeout", True),
}
_SEARCH_PATH = "search_path"
_READ = (  # of columns that this module names
    "select coalesce(rolvaliduntil::text, 'infinity'), rolconnlimit, rolconfig, "  # noqa: S608
    "array(select pg_get_userbyid(roleid) from pg_auth_members m where m.member = r.oid)::text[], "
    + ", ".join(column for column, _ in _FLAGS.values())
    + " from pg_roles r where rolname = %s"
)


class RoleKind(PostgresqlKind):
    """A role, its memberships, its settings."""

    data = Spec(
        resource="postgresql:index/role:Role",
        defaults={
            "connectionLimit": -1,
            "encryptedPassword": True,
            "inherit": True,
            "validUntil": "infinity",
        },
        compare=sets("roles"),
        write_only=words("passwordWo"),
    )

    def identify(self, inputs: dict[str, Any]) -> str:
        """The name."""
        return str(inputs["name"])

    def imported(self, identifier: str) -> dict[str, Any]:
        """The name."""
        return {"name": identifier}

    def carried(self, olds: dict[str, Any]) -> dict[str, Any]:
        """Nothing but what the program says now."""
        return {}

    def make(self, inputs: dict[str, Any]) -> None:
        """CREATE ROLE, its memberships and settings, in one transaction."""
        name = inputs["name"]
        with self.server.changing(self.say(inputs)) as session:
            session.run("CREATE ROLE {}", name)
            self._set(session, name, {}, inputs)
            password = inputs.get("passwordWo") or inputs.get("password")
            if password:
                self._set_password(session, name, password)

    def alter(self, olds: dict[str, Any], news: dict[str, Any]) -> None:
        """Rename first, then whatever else differs."""
        name = news["name"]
        with self.server.changing(self.say(news)) as session:
            if olds.get("name") and olds["name"] != name:
                session.run("ALTER ROLE {} RENAME TO {}", olds["name"], name)
            self._set(session, name, olds, news)
            if "passwordWo" in news:
                if news.get("passwordWoVersion") != olds.get("passwordWoVersion"):
                    self._set_password(session, name, news["passwordWo"])
            elif (news.get("password") or "") != (olds.get("password") or ""):
                self._set_password(session, name, news.get("password") or "")

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """Hand its objects to us, drop its privileges in the provider's database, drop it."""
        name = str(olds.get("name") or identifier)
        with self.server.changing(f"{self.spec.resource} {name}") as session:
            if session.row("select from pg_roles where rolname = %s", name) is None:
                return
            if not olds.get("skipReassignOwned"):
                with session.granted(name):
                    session.run("REASSIGN OWNED BY {} TO CURRENT_USER", name)
                    session.run("DROP OWNED BY {}", name)
            if not olds.get("skipDropRole"):
                session.run("DROP ROLE {}", name)

    def gather(self, known: dict[str, Any]) -> dict[str, Any] | None:
        """What pg_roles says; what it doesn't is as given."""
        name = known["name"]
        with self.server.reading(f"{self.spec.resource} {name}") as session:
            row = session.row(_READ, name)
            if row is None:
                return None
            until, limit, config, roles, *flags = row
            state = dict(zip(_FLAGS, flags, strict=True))
            settings = dict(entry.split("=", 1) for entry in config or [])
            for field, (setting, number) in _SETTINGS.items():
                text = settings.get(setting, "")
                state[field] = _milliseconds(text) if number else text.strip('"')
            path = settings.get(_SEARCH_PATH, "")
            return state | {
                "connectionLimit": limit,
                "encrypted": known.get("encrypted"),
                "encryptedPassword": True,
                "name": name,
                "password": self._password(session, name, known, state["login"]),
                "passwordWoVersion": known.get("passwordWoVersion"),
                "roles": sorted(set(roles)),
                "searchPaths": [p.strip().strip('"') for p in path.split(",") if p.strip()],
                "skipDropRole": bool(known.get("skipDropRole")),
                "skipReassignOwned": bool(known.get("skipReassignOwned")),
                "validUntil": until,
            }

    def _password(self, session: Session, name: str, known: dict[str, Any], login: bool) -> Any:
        """The state's password, or the stored verifier when that is plainly another one's."""
        given = known.get("password") or ""
        if not login or not session.settings.superuser or known.get("passwordWoVersion"):
            return given
        row = session.row("select coalesce(passwd, '') from pg_shadow where usename = %s", name)
        stored = str(row[0]) if row else ""
        if given and not given.startswith(("md5", "SCRAM-SHA-256")):
            digest = hashlib.md5((given + name).encode()).hexdigest()  # noqa: S324 Postgres' own
            if stored.startswith("SCRAM-SHA-256") or stored == f"md5{digest}":
                return given
        return stored

    def _set(self, session: Session, name: str, olds: dict[str, Any], news: dict[str, Any]) -> None:
        options: list[sql.Composable] = []
        for field, (_, option) in _FLAGS.items():
            wanted, before = bool(news.get(field)), bool(olds.get(field, field == "inherit"))
            if wanted != before:
                options.append(sql.SQL(option if wanted else f"NO{option}"))
        limit = int(news.get("connectionLimit", -1))
        if limit != olds.get("connectionLimit", -1):
            options.append(sql.SQL("CONNECTION LIMIT {}").format(sql.Literal(limit)))
        until = news.get("validUntil") or "infinity"
        if until != olds.get("validUntil", "infinity"):
            options.append(sql.SQL("VALID UNTIL {}").format(sql.Literal(until)))
        if options:
            session.run("ALTER ROLE {} {options}", name, options=sql.SQL(" ").join(options))
        self._set_roles(session, name, news)
        for field, (setting, _) in _SETTINGS.items():
            if (news.get(field) or None) != (olds.get(field) or None):
                self._set_setting(session, name, setting, news.get(field))
        path = news.get("searchPaths") or []
        if path != (olds.get("searchPaths") or []):
            if any("," in entry or '"' in entry for entry in path):
                raise ResourceError(f"{self.spec.resource} {name}: searchPaths: a comma or a quote")
            self._set_setting(session, name, _SEARCH_PATH, path)

    def _set_roles(self, session: Session, name: str, news: dict[str, Any]) -> None:
        rows = session.rows(
            "select distinct pg_get_userbyid(roleid) from pg_auth_members "
            "where pg_get_userbyid(member) = %s",
            name,
        )
        have, want = {str(row[0]) for row in rows}, set(news.get("roles") or [])
        for role in sorted(have - want):
            session.run("REVOKE {} FROM {}", role, name)
        for role in sorted(want - have):
            session.run("GRANT {} TO {}", role, name)

    def _set_setting(self, session: Session, name: str, setting: str, value: Any) -> None:
        if not value:
            session.run("ALTER ROLE {} RESET {}", name, setting)
            return
        values = value if isinstance(value, list) else [value]
        text = sql.SQL(", ").join(sql.Literal(item) for item in values)
        session.run("ALTER ROLE {} SET {} TO {value}", name, setting, value=text)

    def _set_password(self, session: Session, name: str, password: str) -> None:
        if not password or password.upper() == "NULL":
            session.run("ALTER ROLE {} PASSWORD NULL", name)
            return
        verifier = sql.Literal(session.verifier(password, name))
        session.run("ALTER ROLE {} PASSWORD {verifier}", name, verifier=verifier)


def _milliseconds(text: str) -> int:
    digits = text.strip()
    return int(digits) if digits.isdigit() else 0
