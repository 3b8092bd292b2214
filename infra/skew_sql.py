"""The SQL of a Postgres whose clock is ahead: roles whose VALID UNTIL comes that much too early."""

from __future__ import annotations

#: How far (seconds) a drill may put it. The drill operator's policy allows these and no other.
AHEAD_SECONDS = (10, 60)


def ahead(statement: str, seconds: int) -> str:
    """Return `statement` (of a creation or a renewal) with VALID UNTIL `seconds` earlier.

    The statement is kept whole; what it set is set again in the same transaction. To a role it is
    all the same whether the clock is ahead or its time is short, and this way nobody else's clock
    is touched. One DO block, because Vault runs that as one statement.
    """
    return f"""DO $$ BEGIN
  {statement}
  EXECUTE format(
    'ALTER ROLE %I VALID UNTIL %L',
    '{{{{name}}}}', timestamptz '{{{{expiration}}}}' - interval '{seconds} s');
END $$;"""
