"""Tables in Postgres: whose they are, and what is missing from them.

Names are in lower case, as Postgres folds those that are not quoted. A table with months is partitioned by range of
`file_month`, and every month is a table of its own, `NAME_2021_01`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.errors import WarehouseError
from taxi_ingest.warehouses import Table, column_comment
from taxi_ingest.warehouses.ownership import Found, refuse_foreign
from taxi_ingest.warehouses.postgres.connecting import Session
from taxi_ingest.warehouses.postgres.marks import SIGNATURE, partitions

TYPES = {"int64": "bigint", "double": "double precision", "string": "text", "timestamp": "timestamp without time zone"}
"""Canonical type → Postgres's."""

_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence", "i": "an index"}

_BY_MONTH = f"RANGE ({FILE_MONTH})"

_RELATION = """
    SELECT c.oid, c.relkind, coalesce(obj_description(c.oid, 'pg_class'), ''),
        CASE c.relkind WHEN 'p' THEN pg_get_partkeydef(c.oid) ELSE '' END
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s
"""
_COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped
"""


@dataclass(frozen=True)
class Relation:
    """A table, a view or the like; `partitioned` is "" or by what it is, such as `RANGE (file_month)`."""

    oid: int
    kind: str
    comment: str
    partitioned: str


def columns_of(table: Table) -> dict[str, str]:
    """Name and type of every column of ours, in order."""
    types = {column.name.lower(): TYPES[column.type] for column in table.columns}
    return {name.lower(): types.get(name.lower(), "date") for name in table.column_names}


def column_definitions(table: Table) -> sql.Composable:
    """Every column of ours with its type, as CREATE TABLE takes them."""
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column), _keyword(kind)) for column, kind in columns_of(table).items()
    )


def prepare(session: Session, table: Table) -> int:
    """Create what is missing: schema, table, comments, columns added to the catalog since. Returns the table's oid.

    Raises WarehouseError, before anything is changed, for a table or view of our table's name that is not ours.
    """
    name = table.name.lower()
    existing = relation_named(session, name)
    if existing is None:
        _create(session, table)
        created = relation_named(session, name)
        if created is None:
            raise RuntimeError(f"{name} was created and is not there")
        return created.oid
    types = _types(session, existing)
    _refuse_foreign(session, table, existing, types)
    for column, kind in columns_of(table).items():
        if column not in types:
            add = sql.SQL("ALTER TABLE {} ADD COLUMN {} {}")
            session.db.execute(add.format(quoted(session, name), sql.Identifier(column), _keyword(kind)))
            _comment_columns(session, table, {column})
    return existing.oid


def refuse_foreign_table(session: Session, table: Table) -> None:
    """Raise WarehouseError for a table or view of our table's name that is not ours."""
    existing = relation_named(session, table.name.lower())
    if existing is not None:
        _refuse_foreign(session, table, existing, _types(session, existing))


def refuse_stranger(session: Session, name: str) -> None:
    """Raise WarehouseError if there is anything of this name, which a partition of ours is to have."""
    existing = relation_named(session, name)
    if existing is not None:
        raise WarehouseError(
            f"{session.place} has {_KINDS.get(existing.kind, 'a table')} {name} that is no partition of its table. It "
            "was left as it is. Rename or drop it, and run again."
        )


def quoted(session: Session, name: str) -> sql.Composable:
    """The name of a table in our schema, as SQL takes it."""
    return sql.Identifier(session.schema, name)


def _create(session: Session, table: Table) -> None:
    db, name = session.db, quoted(session, table.name.lower())
    if not db.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [session.schema]).fetchone():
        db.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(session.schema)))
    by_month = sql.SQL(f" PARTITION BY {_BY_MONTH}" if table.monthly else "")
    db.execute(sql.SQL("CREATE TABLE {} ({}){}").format(name, column_definitions(table), by_month))
    comment = f"{table.title}. {SIGNATURE}."
    db.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(name, sql.Literal(comment)))
    _comment_columns(session, table, set(columns_of(table)))


def _comment_columns(session: Session, table: Table, names: set[str]) -> None:
    for column in table.columns:
        if column.name.lower() in names:
            where = sql.Identifier(session.schema, table.name.lower(), column.name.lower())
            comment = sql.SQL("COMMENT ON COLUMN {} IS {}")
            session.db.execute(comment.format(where, sql.Literal(column_comment(column))))


def _refuse_foreign(session: Session, table: Table, existing: Relation, types: Mapping[str, str]) -> None:
    is_signed = SIGNATURE in existing.comment
    has_marks = existing.kind == "p" and any(one.mark for one in partitions(session.db, existing.oid))
    kind, partitioned = ("p", _BY_MONTH) if table.monthly else ("r", "")
    found = Found(
        where=f"{session.place} has {_KINDS.get(existing.kind, 'a table')} {table.name.lower()}",
        types=types,
        is_plain=(existing.kind, existing.partitioned) == (kind, partitioned),
        is_known=is_signed or has_marks,
        is_signed=is_signed,
        remedy="Rename or drop it, or name another schema: --warehouse 'postgresql://…?schema=NAME'.",
    )
    ours = columns_of(table)
    refuse_foreign(found, {name: ours[name.lower()] for name in table.column_names})


def relation_named(session: Session, name: str) -> Relation | None:
    """What has this name in our schema, if anything."""
    row = session.db.execute(_RELATION, [session.schema, name]).fetchone()
    return Relation(*row) if row else None


def _types(session: Session, relation: Relation) -> dict[str, str]:
    return dict(session.db.execute(_COLUMNS, [relation.oid]).fetchall())


def _keyword(kind: str) -> sql.SQL:
    return sql.SQL(kind)
