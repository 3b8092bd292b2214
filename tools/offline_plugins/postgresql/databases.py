"""Databases, and what lies in one: schemas, extensions."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from tools.offline_plugins.postgresql.kind import PostgresqlKind
from tools.offline_plugins.server import ResourceError
from tools.offline_plugins.spec import Spec, words

_FORCE_SINCE = 13
_TEMPLATE = "template0"


class DatabaseKind(PostgresqlKind):
    """A database."""

    data = Spec(
        resource="postgresql:index/database:Database",
        replaces=words("encoding lcCollate lcCtype template"),
        defaults={"allowConnections": True, "connectionLimit": -1},
        computed=words("encoding isTemplate lcCollate lcCtype owner tablespaceName template"),
    )

    def identify(self, inputs: dict[str, Any]) -> str:
        """The name."""
        return str(inputs["name"])

    def imported(self, identifier: str) -> dict[str, Any]:
        """The name."""
        return {"name": identifier}

    def carried(self, olds: dict[str, Any]) -> dict[str, Any]:
        """The template: the server forgets it."""
        return {"template": olds.get("template")}

    def make(self, inputs: dict[str, Any]) -> None:
        """CREATE DATABASE, which no transaction can hold."""
        options = [_option("TEMPLATE", sql.Identifier(inputs.get("template") or _TEMPLATE))]
        for field, word in (("owner", "OWNER"), ("tablespaceName", "TABLESPACE")):
            if _given(inputs, field):
                options.append(_option(word, sql.Identifier(inputs[field])))
        for field, word in (
            ("encoding", "ENCODING"),
            ("lcCollate", "LC_COLLATE"),
            ("lcCtype", "LC_CTYPE"),
        ):
            if _given(inputs, field):
                options.append(_option(word, sql.Literal(inputs[field])))
        allowed = inputs.get("allowConnections", True)
        options.append(_option("ALLOW_CONNECTIONS", sql.Literal(bool(allowed))))
        options.append(_option("CONNECTION LIMIT", sql.Literal(inputs.get("connectionLimit", -1))))
        if inputs.get("isTemplate"):
            options.append(_option("IS_TEMPLATE", sql.Literal(True)))
        owners = [inputs["owner"]] if _given(inputs, "owner") else []
        with self.server.alone(self.say(inputs)) as session, session.granted(*owners):
            session.run(
                "CREATE DATABASE {} {options}",
                inputs["name"],
                options=sql.SQL(" ").join(options),
            )

    def alter(self, olds: dict[str, Any], news: dict[str, Any]) -> None:
        """Rename, then owner, tablespace, limits."""
        name = news["name"]
        with self.server.alone(self.say(news)) as session:
            if olds.get("name") and olds["name"] != name:
                session.run("ALTER DATABASE {} RENAME TO {}", olds["name"], name)
            owner = str(news.get("owner") or "")
            if _given(news, "owner") and owner != olds.get("owner"):
                with session.granted(owner):
                    session.run("ALTER DATABASE {} OWNER TO {}", name, owner)
            space = str(news.get("tablespaceName") or "")
            if _given(news, "tablespaceName") and space != olds.get("tablespaceName"):
                session.run("ALTER DATABASE {} SET TABLESPACE {}", name, space)
            for field, word, default in (
                ("allowConnections", "ALLOW_CONNECTIONS", True),
                ("connectionLimit", "CONNECTION LIMIT", -1),
                ("isTemplate", "IS_TEMPLATE", None),
            ):
                wanted = news.get(field, default)
                if wanted is not None and wanted != olds.get(field):
                    option = _option(word, sql.Literal(wanted))
                    session.run("ALTER DATABASE {} WITH {option}", name, option=option)
        if news.get("alterObjectOwnership") and news.get("owner") != olds.get("owner"):
            what = self.say(news)
            with self.server.changing(what, name) as session, session.granted(olds["owner"]):
                session.run("REASSIGN OWNED BY {} TO {}", olds["owner"], news["owner"])

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """DROP DATABASE; sessions in it are ended."""
        name = str(olds.get("name") or identifier)
        with self.server.alone(f"{self.spec.resource} {name}") as session:
            row = session.row("select datistemplate from pg_database where datname = %s", name)
            if row is None:
                return
            owners = [olds["owner"]] if olds.get("owner") else []
            with session.granted(*owners):
                if row[0]:
                    session.run("ALTER DATABASE {} WITH IS_TEMPLATE false", name)
                force = " WITH (FORCE)" if session.version >= _FORCE_SINCE else ""
                session.run("DROP DATABASE {}" + force, name)

    def gather(self, known: dict[str, Any]) -> dict[str, Any] | None:
        """What pg_database says."""
        with self.server.reading(self.say(known)) as session:
            row = session.row(
                "select pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, "
                "datctype, spcname, datconnlimit, datallowconn, datistemplate "
                "from pg_database d join pg_tablespace t on t.oid = d.dattablespace "
                "where datname = %s",
                known["name"],
            )
        if row is None:
            return None
        names = [
            "owner",
            "encoding",
            "lcCollate",
            "lcCtype",
            "tablespaceName",
            "connectionLimit",
            "allowConnections",
            "isTemplate",
        ]
        return {
            **dict(zip(names, row, strict=True)),
            "name": known["name"],
            "alterObjectOwnership": bool(known.get("alterObjectOwnership")),
            "template": known.get("template") or _TEMPLATE,
        }


class SchemaKind(PostgresqlKind):
    """A schema in a database."""

    data = Spec(
        resource="postgresql:index/schema:Schema",
        replaces=words("database"),
        defaults={"ifNotExists": True},
        computed=words("database owner policies"),
    )

    def identify(self, inputs: dict[str, Any]) -> str:
        """`database.schema`."""
        return f"{self._database(inputs)}.{inputs['name']}"

    def imported(self, identifier: str) -> dict[str, Any]:
        """Database and name."""
        return _in_database(identifier, self.spec.resource)

    def make(self, inputs: dict[str, Any]) -> None:
        """CREATE SCHEMA."""
        if inputs.get("policies"):
            raise ResourceError(
                f"{self.say(inputs)}: policies (deprecated): the published plugin serves them"
            )
        exists = "IF NOT EXISTS " if inputs.get("ifNotExists") else ""
        owner = inputs.get("owner")
        owners = [owner] if owner else []
        with (
            self.server.changing(self.say(inputs), self._database(inputs)) as session,
            session.granted(*owners),
        ):
            session.run(f"CREATE SCHEMA {exists}{{}}", inputs["name"])
            if owner:
                session.run("ALTER SCHEMA {} OWNER TO {}", inputs["name"], owner)

    def alter(self, olds: dict[str, Any], news: dict[str, Any]) -> None:
        """Rename, then owner."""
        name, owner = news["name"], news.get("owner")
        with self.server.changing(self.say(news), self._database({**olds, **news})) as session:
            if olds.get("name") and olds["name"] != name:
                session.run("ALTER SCHEMA {} RENAME TO {}", olds["name"], name)
            if owner and owner != olds.get("owner"):
                with session.granted(owner):
                    session.run("ALTER SCHEMA {} OWNER TO {}", name, owner)

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """DROP SCHEMA; a schema that holds something goes only with dropCascade."""
        name = str(olds.get("name") or identifier.partition(".")[2])
        cascade = "CASCADE" if olds.get("dropCascade") else "RESTRICT"
        owners = [olds["owner"]] if olds.get("owner") else []
        with (
            self.server.changing(self.say({**olds, "name": name}), self._database(olds)) as session,
            session.granted(*owners),
        ):
            session.run(f"DROP SCHEMA IF EXISTS {{}} {cascade}", name)

    def gather(self, known: dict[str, Any]) -> dict[str, Any] | None:
        """What pg_namespace says; gone with its database."""
        database = self._database(known)
        if not _database_exists(self, database):
            return None
        with self.server.reading(self.say(known), database) as session:
            row = session.row(
                "select pg_get_userbyid(nspowner) from pg_namespace where nspname = %s",
                known["name"],
            )
        if row is None:
            return None
        return {
            "database": database,
            "dropCascade": bool(known.get("dropCascade")),
            "ifNotExists": bool(known.get("ifNotExists")),
            "name": known["name"],
            "owner": row[0],
            "policies": known.get("policies") or [],
        }

    def _database(self, inputs: dict[str, Any]) -> str:
        return str(inputs.get("database") or self.server.settings.database)


class ExtensionKind(PostgresqlKind):
    """An extension in a database."""

    data = Spec(
        resource="postgresql:index/extension:Extension",
        replaces=words("database name"),
        computed=words("database schema version"),
    )

    def identify(self, inputs: dict[str, Any]) -> str:
        """`database.extension`."""
        return f"{self._database(inputs)}.{inputs['name']}"

    def imported(self, identifier: str) -> dict[str, Any]:
        """Database and name."""
        return _in_database(identifier, self.spec.resource)

    def make(self, inputs: dict[str, Any]) -> None:
        """CREATE EXTENSION."""
        parts: list[sql.Composable] = []
        if inputs.get("schema"):
            parts.append(_option("SCHEMA", sql.Identifier(inputs["schema"])))
        if inputs.get("version"):
            parts.append(_option("VERSION", sql.Identifier(inputs["version"])))
        if inputs.get("createCascade"):
            parts.append(sql.SQL("CASCADE"))
        with self.server.changing(self.say(inputs), self._database(inputs)) as session:
            session.run(
                "CREATE EXTENSION IF NOT EXISTS {} {parts}",
                inputs["name"],
                parts=sql.SQL(" ").join(parts),
            )

    def alter(self, olds: dict[str, Any], news: dict[str, Any]) -> None:
        """Another schema, another version."""
        name = news["name"]
        with self.server.changing(self.say(news), self._database({**olds, **news})) as session:
            if news.get("schema") and news["schema"] != olds.get("schema"):
                session.run("ALTER EXTENSION {} SET SCHEMA {}", name, news["schema"])
            if news.get("version") and news["version"] != olds.get("version"):
                session.run("ALTER EXTENSION {} UPDATE TO {}", name, news["version"])

    def delete(self, identifier: str, olds: dict[str, Any]) -> None:
        """DROP EXTENSION."""
        name = str(olds.get("name") or identifier.partition(".")[2])
        cascade = "CASCADE" if olds.get("dropCascade") else "RESTRICT"
        known = {**olds, "name": name}
        with self.server.changing(self.say(known), self._database(olds)) as session:
            session.run(f"DROP EXTENSION IF EXISTS {{}} {cascade}", name)

    def gather(self, known: dict[str, Any]) -> dict[str, Any] | None:
        """What pg_extension says; gone with its database."""
        database = self._database(known)
        if not _database_exists(self, database):
            return None
        with self.server.reading(self.say(known), database) as session:
            row = session.row(
                "select extversion, nspname from pg_extension e "
                "join pg_namespace n on n.oid = e.extnamespace where extname = %s",
                known["name"],
            )
        if row is None:
            return None
        return {
            "createCascade": bool(known.get("createCascade")),
            "database": database,
            "dropCascade": bool(known.get("dropCascade")),
            "name": known["name"],
            "schema": row[1],
            "version": row[0],
        }

    def _database(self, inputs: dict[str, Any]) -> str:
        return str(inputs.get("database") or self.server.settings.database)


def _option(word: str, value: sql.Composable) -> sql.Composable:
    return sql.SQL(word + " {}").format(value)


def _given(inputs: dict[str, Any], field: str) -> bool:
    return bool(inputs.get(field)) and str(inputs[field]).upper() != "DEFAULT"


def _in_database(identifier: str, token: str) -> dict[str, Any]:
    database, dot, name = identifier.partition(".")
    if not dot or not name:
        raise ResourceError(f"{token} {identifier}: the id to import has to be DATABASE.NAME")
    return {"database": database, "name": name}


def _database_exists(kind: PostgresqlKind, database: str) -> bool:
    with kind.server.reading(kind.spec.resource) as session:
        return session.row("select from pg_database where datname = %s", database) is not None
