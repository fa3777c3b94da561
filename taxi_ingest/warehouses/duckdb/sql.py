"""Names, texts and paths as SQL takes them, and what the catalog says of a table or view.

Only the current schema of the file itself is looked at, which is where unqualified names lead: tables of the same
name in other schemas or attached databases are somebody else's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taxi_ingest.warehouses import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SQL_TYPES = {"int64": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "timestamp": "TIMESTAMP"}

HERE = "database_name = current_database() AND schema_name = current_schema()"

_COLUMNS = f"SELECT column_name, data_type FROM duckdb_columns() WHERE {HERE} AND lower(table_name) = lower(?)"  # noqa: S608
_VIEW = f"SELECT coalesce(comment, '') FROM duckdb_views() WHERE {HERE} AND lower(view_name) = lower(?)"  # noqa: S608


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text as SQL takes it."""
    return "'" + value.replace("'", "''") + "'"


def as_pattern(path: str) -> str:
    """The pattern that only `path` itself fits: DuckDB's readers take a path for a pattern."""
    return "".join(f"[{character}]" if character in "[*?" else character for character in path)


def rows_in_file(path: str) -> tuple[str, list[str]]:
    """What gives the rows of the Parquet file `path` in a FROM, and its parameters.

    A path with [ ] ? * names one file, and one with name=value no column.
    """
    return "read_parquet(?, hive_partitioning = false)", [as_pattern(path)]


def column_types(table: Table) -> dict[str, str]:
    """Name and SQL type of every column, in order."""
    types = {column.name: SQL_TYPES[column.type] for column in table.columns}
    return {name: types.get(name, "DATE") for name in table.column_names}


def relation_types(db: DuckDBPyConnection, name: str) -> dict[str, str]:
    """The types of the columns of a table or view, by folded name, as DuckDB folds; none if there is no such table."""
    return {column.lower(): kind for column, kind in db.execute(_COLUMNS, [name]).fetchall()}


def view_comment(db: DuckDBPyConnection, name: str) -> str | None:
    """The comment of a view, "" if it has none; None if no view has this name."""
    found = db.execute(_VIEW, [name]).fetchone()
    return str(found[0]) if found else None


def number(result: DuckDBPyConnection) -> int:
    """The sum of the numbers that a query gave."""
    return sum(int(value) for (value,) in result.fetchall())
