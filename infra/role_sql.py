"""The SQL around dynamic roles. `{{name}}`, `{{password}}`, `{{expiration}}` are Vault's."""

from __future__ import annotations


def creation(group: str) -> list[str]:
    """Return the statements that make a role: it only inherits from `group`, and owns nothing."""
    return [
        "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' "
        f"VALID UNTIL '{{{{expiration}}}}' INHERIT IN ROLE \"{group}\";"
    ]


def renewal() -> list[str]:
    """Return the statement that follows the lease: VALID UNTIL is checked at login."""
    return ["ALTER ROLE \"{{name}}\" VALID UNTIL '{{expiration}}';"]


def revocation() -> list[str]:
    """Return the statements that end a role: no new login, no session, no role.

    Sessions outlive their role unless they are ended. Vault runs all statements in one
    transaction, and until that commits a client that is thrown out comes back in with the old
    password: of four pools of 20 that did so, 66 sessions outlived their roles. Hence the
    COMMIT after NOLOGIN; what follows can be repeated. The sessions are looked at again until none
    is left (2 s at most), since one that was just logging in shows up late.

    A role that is gone already is no error: Vault would try it six times and then call the lease
    irrevocable.
    """
    return [
        """DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{{name}}') THEN
    ALTER ROLE "{{name}}" NOLOGIN;
  END IF;
END $$;""",
        "COMMIT;",
        """DO $$ DECLARE
  gone oid := (SELECT oid FROM pg_roles WHERE rolname = '{{name}}');
BEGIN
  FOR round IN 1..200 LOOP
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = gone;
    EXIT WHEN NOT FOUND;
    PERFORM pg_sleep(0.01);
    PERFORM pg_stat_clear_snapshot();
  END LOOP;
  IF gone IS NOT NULL THEN
    DROP ROLE "{{name}}";
  END IF;
END $$;""",
    ]


def tables(schema: str) -> list[str]:
    """Return the statements that make the demo service's table; they can be repeated."""
    return [
        f"""CREATE TABLE IF NOT EXISTS {schema}.orders (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  item       text NOT NULL,
  quantity   integer NOT NULL CHECK (quantity > 0),
  created_at timestamptz NOT NULL DEFAULT now()
)"""
    ]


def drop_tables(schema: str) -> list[str]:
    """Return what takes `tables` back, so that the schema can be dropped."""
    return [f"DROP TABLE IF EXISTS {schema}.orders"]
