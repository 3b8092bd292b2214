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
    """Return the statements that end a role: no new login, no session, nothing owned, no role.

    Sessions outlive their role unless they are ended. Vault runs all statements in one
    transaction, and until that commits a client that is thrown out comes back in with the old
    password: of four pools of 20 that did so, 66 sessions outlived their roles. Hence the
    COMMIT after NOLOGIN; what follows can be repeated.

    A session that passed the check for NOLOGIN just before, but has not come far enough to be in
    pg_stat_activity, can't be ended yet. Its first transaction is in pg_locks all the same, so
    those are waited for (2 s at most in all: a client may take its time to send its password,
    and one that has not sent it will be refused).

    A role inherits from its group and can create nothing in it, but every role can make a large
    object, and then DROP ROLE fails for ever: what it owns goes first. For that Vault's account
    must be a member.

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
  starting text[] := ARRAY(
    SELECT virtualtransaction FROM pg_locks
    WHERE locktype = 'virtualxid' AND pid <> pg_backend_pid()
      AND pid NOT IN (SELECT pid FROM pg_stat_activity WHERE usesysid IS NOT NULL));
BEGIN
  IF gone IS NULL THEN
    RETURN;
  END IF;
  FOR round IN 1..200 LOOP
    starting := ARRAY(
      SELECT virtualtransaction FROM pg_locks
      WHERE locktype = 'virtualxid' AND virtualtransaction = ANY (starting));
    PERFORM pg_stat_clear_snapshot();
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = gone;
    EXIT WHEN NOT FOUND AND starting = '{}';
    PERFORM pg_sleep(0.01);
  END LOOP;
  GRANT "{{name}}" TO CURRENT_USER;
  DROP OWNED BY "{{name}}";
  DROP ROLE "{{name}}";
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
