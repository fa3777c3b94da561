"""Tables in a DuckDB file: whose they are, and what is missing from them.

Only the current schema of the file itself is looked at, which is where unqualified names lead: tables of the same
name in other schemas or attached databases are somebody else's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from taxi_ingest.place import Place
from taxi_ingest.warehouses import Table, column_comment
from taxi_ingest.warehouses.ownership import Found, refuse_foreign

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SQL_TYPES = {"int64": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "timestamp": "TIMESTAMP"}

LOADS = "_loads"
"""The small table that records the mark of each month that was loaded."""

LOADS_ELSEWHERE = "_taxi_ingest_loads"
"""Its name where somebody else has a table or view called `_loads`."""

LOADS_COLUMNS = {
    "table_name": "VARCHAR",
    "file_month": "DATE",
    "mark": "VARCHAR",
    "rows": "BIGINT",
    "source": "VARCHAR",
}

_REMEDY = "Rename or drop it, or name another file: --warehouse duckdb:FILE."

_HERE = "database_name = current_database() AND schema_name = current_schema()"
_COLUMNS = f"SELECT column_name, data_type FROM duckdb_columns() WHERE {_HERE} AND lower(table_name) = lower(?)"  # noqa: S608
_VIEW = f"SELECT view_name FROM duckdb_views() WHERE {_HERE} AND lower(view_name) = lower(?)"  # noqa: S608
_COMMENT = f"SELECT 1 FROM duckdb_tables() WHERE {_HERE} AND lower(table_name) = lower(?) AND comment IS NOT NULL"  # noqa: S608


def prepare(db: DuckDBPyConnection, table: Table, place: Place) -> str:
    """Create what is missing: the table, columns added to the catalog since, comments, and the table of loads.

    Returns the name of the table of loads. Raises WarehouseError, before anything is changed, for a table or view of
    our table's name that is not ours.
    """
    loads = next((name for name in (LOADS, LOADS_ELSEWHERE) if _is_loads(db, name)), "")
    existing = _check_table(db, table, place, loads)
    name, columns = quoted(table.name), _columns(table)
    if not existing:
        db.execute(f"CREATE TABLE {name} ({', '.join(f'{quoted(c)} {sql_type}' for c, sql_type in columns.items())})")
        db.execute(f"COMMENT ON TABLE {name} IS {_text(table.title)}")
        for column in table.columns:
            db.execute(f"COMMENT ON COLUMN {name}.{quoted(column.name)} IS {_text(column_comment(column))}")
    for column_name, sql_type in columns.items():
        if existing and column_name.lower() not in existing:
            db.execute(f"ALTER TABLE {name} ADD COLUMN {quoted(column_name)} {sql_type}")
    if not loads:
        loads = LOADS_ELSEWHERE if _types(db, LOADS) else LOADS
        definition = ", ".join(f"{quoted(column)} {sql_type}" for column, sql_type in LOADS_COLUMNS.items())
        db.execute(f"CREATE TABLE {quoted(loads)} ({definition})")
    return loads


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def as_pattern(path: str) -> str:
    """The pattern that only `path` itself fits: DuckDB's readers take a path for a pattern."""
    return "".join(f"[{character}]" if character in "[*?" else character for character in path)


def _columns(table: Table) -> dict[str, str]:
    """Name and SQL type of every column, in order."""
    types = {column.name: SQL_TYPES[column.type] for column in table.columns}
    return {name: types.get(name, "DATE") for name in table.column_names}


def _is_loads(db: DuckDBPyConnection, name: str) -> bool:
    """Whether this is a table of loads of ours."""
    return LOADS_COLUMNS.items() <= _types(db, name).items() and not db.execute(_VIEW, [name]).fetchall()


def _check_table(db: DuckDBPyConnection, table: Table, place: Place, loads: str) -> dict[str, str]:
    """The types of the columns of our table, none if it is missing; WarehouseError if it is not ours."""
    types = _types(db, table.name)
    if types:
        record = f"SELECT 1 FROM {quoted(loads)} WHERE table_name = ? LIMIT 1"  # noqa: S608
        is_known = bool(loads) and bool(db.execute(record, [table.name]).fetchall())
        _refuse_foreign(db, place, table.name, _columns(table), is_known=is_known)
    return types


def _refuse_foreign(
    db: DuckDBPyConnection, place: Place, name: str, wanted: Mapping[str, str], *, is_known: bool
) -> None:
    is_view = bool(db.execute(_VIEW, [name]).fetchall())
    is_signed = bool(db.execute(_COMMENT, [name]).fetchall())
    where = f"{place} has a {'view' if is_view else 'table'} {name}"
    refuse_foreign(Found(where, _types(db, name), not is_view, is_known, is_signed, _REMEDY), wanted)


def _types(db: DuckDBPyConnection, name: str) -> dict[str, str]:
    """The types of the columns of a table or view, by folded name, as DuckDB folds; none if there is no such table."""
    return {column.lower(): kind for column, kind in db.execute(_COLUMNS, [name]).fetchall()}


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
