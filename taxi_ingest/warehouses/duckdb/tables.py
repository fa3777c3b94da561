"""Tables in a DuckDB file: whose they are, and what is missing from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from taxi_ingest.place import Place
from taxi_ingest.warehouses import Table, column_comment
from taxi_ingest.warehouses.duckdb.loads import create_loads, name_of_loads
from taxi_ingest.warehouses.duckdb.sql import HERE, column_types, quoted, relation_types, text, view_comment
from taxi_ingest.warehouses.ownership import Found, refuse_foreign

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

VIEW_SIGN = "a view of taxi-ingest over Parquet files"
"""How the comment of each view that we made ends."""

_REMEDY = "Rename or drop it, or name another file: --warehouse duckdb:FILE."

_TABLE = f"SELECT 1 FROM duckdb_tables() WHERE {HERE} AND lower(table_name) = lower(?)"  # noqa: S608
_COMMENT = f"{_TABLE} AND comment IS NOT NULL"


def prepare(db: DuckDBPyConnection, table: Table, place: Place) -> str:
    """Create what is missing: the table, columns added to the catalog since, comments, and the table of loads.

    Returns the name of the table of loads. Raises WarehouseError, before anything is changed, for a table or view of
    our table's name that is not ours.
    """
    loads = name_of_loads(db)
    existing = check_relation(db, table, place, loads)
    if not existing:
        create_table(db, table)
    for column_name, sql_type in column_types(table).items():
        if existing and column_name.lower() not in existing:
            db.execute(f"ALTER TABLE {quoted(table.name)} ADD COLUMN {quoted(column_name)} {sql_type}")
    return loads or create_loads(db)


def create_table(db: DuckDBPyConnection, table: Table) -> None:
    """Create the table, with comments and without rows."""
    columns = (f"{quoted(column)} {sql_type}" for column, sql_type in column_types(table).items())
    db.execute(f"CREATE TABLE {quoted(table.name)} ({', '.join(columns)})")
    comment_on(db, table, "TABLE", table.title)


def comment_on(db: DuckDBPyConnection, table: Table, kind: str, comment: str) -> None:
    """Give the table or view its comment, and each column its meaning and unit."""
    db.execute(f"COMMENT ON {kind} {quoted(table.name)} IS {text(comment)}")
    for column in table.columns:
        meaning = text(column_comment(column))
        db.execute(f"COMMENT ON COLUMN {quoted(table.name)}.{quoted(column.name)} IS {meaning}")


def is_table(db: DuckDBPyConnection, name: str) -> bool:
    """Whether there is a table of this name, and no view."""
    return bool(db.execute(_TABLE, [name]).fetchall())


def is_our_view(db: DuckDBPyConnection, name: str) -> bool:
    """Whether this is a view that we made; one made anew by somebody else has lost our comment."""
    return (view_comment(db, name) or "").endswith(VIEW_SIGN)


def check_relation(db: DuckDBPyConnection, table: Table, place: Place, loads: str) -> dict[str, str]:
    """The types of the columns of our table or view, none if it is missing; WarehouseError if it is not ours.

    `loads` is the name of the table of loads, "" if there is none yet.
    """
    types = relation_types(db, table.name)
    if types:
        record = f"SELECT 1 FROM {quoted(loads)} WHERE table_name = ? LIMIT 1"  # noqa: S608
        is_known = bool(loads) and bool(db.execute(record, [table.name]).fetchall())
        _refuse_foreign(db, place, table.name, types, column_types(table), is_known=is_known)
    return types


def _refuse_foreign(
    db: DuckDBPyConnection,
    place: Place,
    name: str,
    types: Mapping[str, str],
    wanted: Mapping[str, str],
    *,
    is_known: bool,
) -> None:
    is_view, is_ours = view_comment(db, name) is not None, is_our_view(db, name)
    is_signed = is_ours or bool(db.execute(_COMMENT, [name]).fetchall())
    where = f"{place} has a {'view' if is_view else 'table'} {name}"
    refuse_foreign(Found(where, types, is_ours or not is_view, is_known, is_signed, _REMEDY), wanted)
