"""Rights that an owner granted on the table of a month: its successor gets them, too.

Whoever reads the month through the whole table needs none of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from taxi_ingest.warehouses.postgres.connecting import Database

Grants = Sequence[tuple[str, str, bool]]
"""Each with a right (such as SELECT), the role as SQL takes it, and whether that role may grant it in turn."""

_GRANTS = """
    SELECT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
        is_grantable
    FROM pg_class c, aclexplode(c.relacl) WHERE c.oid = %s AND grantee <> c.relowner
"""


def grants_on(db: Database, table: int) -> Grants:
    """What was granted to others on the table whose oid is `table`."""
    return db.execute(_GRANTS, [table]).fetchall()


def revoke_all(db: Database, table: sql.Composable) -> Grants:
    """Take from a table what others may do with it, as ALTER DEFAULT PRIVILEGES gave it, and return that."""
    created = db.execute("SELECT to_regclass(%s)::oid", [table.as_string()]).fetchone()
    grants = grants_on(db, created[0]) if created else ()
    for role in {role for _, role, _ in grants}:
        db.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(table, sql.SQL(role)))
    return grants


def grant_only(db: Database, table: sql.Composable, grants: Grants) -> None:
    """Let others do just this with a table."""
    revoke_all(db, table)
    for right, role, may_grant in grants:
        more = sql.SQL(" WITH GRANT OPTION" if may_grant else "")
        statement = sql.SQL("GRANT {} ON {} TO {}{}").format(sql.SQL(right), table, sql.SQL(role), more)
        db.execute(statement)  # right and role are words of the server, which quoted them
