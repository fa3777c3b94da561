"""A table becomes a view, or a view a table, with all of its months; the caller holds the transaction.

The month that is being loaded is left out: its rows come from the load.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.errors import WarehouseError
from taxi_ingest.warehouses import Table, month_key
from taxi_ingest.warehouses.duckdb.loads import Load, name_of_loads, record, recorded
from taxi_ingest.warehouses.duckdb.sql import HERE, column_types, quoted, relation_types
from taxi_ingest.warehouses.duckdb.tables import create_table
from taxi_ingest.warehouses.duckdb.views import file_now, is_whole, mark_of, rows_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_OF_THE_USER = f"""
SELECT index_name FROM duckdb_indexes() WHERE {HERE} AND lower(table_name) = lower($table)
UNION SELECT constraint_type || ' of ' || array_to_string(constraint_column_names, ', ')
FROM duckdb_constraints() WHERE {HERE} AND lower(table_name) = lower($table)
ORDER BY 1
"""  # noqa: S608
"""The indexes and constraints of a table; we make none."""

_Contents = dict[date | None, tuple[int, int]]
"""Rows and the sum of their hashes, by month: equal for equal rows in any order."""


def table_to_view(db: DuckDBPyConnection, table: Table, day: date | None, file: str) -> None:
    """Drop the table and record the files of its months, which lie beside `file`, that of the month `day`.

    The caller creates the view. Raises WarehouseError, naming the months, where a month's rows are in no file beside
    `file`, and where the table has columns, indexes or constraints of the user's: what would be lost stays.
    """
    _refuse_other_columns(db, table)
    _refuse_indexes_and_constraints(db, table)
    loads = [load for load in recorded(db, table.name) if load.day != day]
    found = [replace(load, file=file_now(_beside(file, day, load.day))) for load in loads]
    lacking = [load.day for load in found if load.file is None or mark_of(load.file.path) != load.mark]
    if lacking:
        raise _cannot_become(
            table, "view", f"no file in {Path(file).parent} holds the rows of {_in_words(lacking)}",
            "Upload these months to this store first, or stay with load.method = table.",
        )  # fmt: skip
    _refuse_other_rows(db, table, day, found)
    db.execute(f"DROP TABLE {quoted(table.name)}")
    name = name_of_loads(db)
    for load in found:
        record(db, name, table.name, load)


def view_to_table(db: DuckDBPyConnection, table: Table, day: date | None) -> None:
    """Drop the view and create the table with the rows of all of its months but `day`.

    Raises WarehouseError, naming the months, where a file is gone or another one, or its rows are not all there.
    """
    loads = [load for load in recorded(db, table.name) if load.day != day and load.file is not None]
    lacking = [load.day for load in loads if not is_whole(db, load)]
    if lacking:
        raise _cannot_become(
            table, "table", f"the files of {_in_words(lacking)} are gone or changed",
            "Run these months first with load.method = external, which uploads them again.",
        )  # fmt: skip
    db.execute(f"DROP VIEW {quoted(table.name)}")
    create_table(db, table)
    db.execute(f"INSERT INTO {quoted(table.name)} {rows_of(table, loads)}")
    counted = dict(db.execute(f"SELECT {_month(table)}, count(*) FROM {quoted(table.name)} GROUP BY ALL").fetchall())  # noqa: S608
    if {day: rows for day, rows in counted.items() if rows} != {load.day: load.rows for load in loads if load.rows}:
        raise _cannot_become(table, "table", "its files have other rows than they were loaded with", "Run again.")
    name = name_of_loads(db)
    for load in loads:
        record(db, name, table.name, replace(load, file=None))


def _refuse_other_columns(db: DuckDBPyConnection, table: Table) -> None:
    ours = {name.lower() for name in column_types(table)}
    theirs = sorted(name for name in relation_types(db, table.name) if name not in ours)
    if theirs:
        raise _cannot_become(
            table, "view", f"it has columns that no file has: {', '.join(theirs)}",
            "Move them to a table of your own, or stay with load.method = table.",
        )  # fmt: skip


def _refuse_indexes_and_constraints(db: DuckDBPyConnection, table: Table) -> None:
    if theirs := [str(name) for (name,) in db.execute(_OF_THE_USER, {"table": table.name}).fetchall()]:
        raise _cannot_become(
            table, "view", f"a view cannot have its indexes and constraints: {', '.join(theirs)}",
            "Drop them, or stay with load.method = table.",
        )  # fmt: skip


def _refuse_other_rows(db: DuckDBPyConnection, table: Table, day: date | None, loads: Sequence[Load]) -> None:
    """Raise WarehouseError unless the table has exactly the rows of these files, besides those of the month `day`."""
    if day is None:
        return
    there = set(relation_types(db, table.name))
    columns = [name for name in column_types(table) if name.lower() in there]
    kept = f"FROM {quoted(table.name)} WHERE {FILE_MONTH} IS DISTINCT FROM DATE '{day}'"
    in_table = _contents(db, columns, kept)
    in_files = _contents(db, columns, f"FROM ({rows_of(table, loads)})")
    if differing := [key for key in in_table.keys() | in_files.keys() if in_table.get(key) != in_files.get(key)]:
        raise _cannot_become(
            table, "view", f"its rows of {_in_words(differing)} are not those of the files",
            "Load these months once more with load.method = table, or stay with it.",
        )  # fmt: skip


def _contents(db: DuckDBPyConnection, columns: Sequence[str], source: str) -> _Contents:
    values = ", ".join(map(quoted, columns))
    query = f"SELECT {FILE_MONTH}, count(*), sum(hash({values})) {source} GROUP BY ALL"
    return {day: (int(rows), int(hashes)) for day, rows, hashes in db.execute(query).fetchall()}


def _month(table: Table) -> str:
    return FILE_MONTH if table.monthly else "NULL::DATE"


def _beside(file: str, day: date | None, other: date | None) -> str:
    """Where the file of another month lies: in the same folder, with that month in its name."""
    path = Path(file)
    before, month, after = path.name.rpartition(month_key(day) or "")
    return str(path.with_name(f"{before}{month_key(other) or ''}{after}")) if month else file


def _in_words(days: Iterable[date | None]) -> str:
    return ", ".join(sorted(month_key(day) or "no month" for day in days))


def _cannot_become(table: Table, kind: str, why: str, remedy: str) -> WarehouseError:
    return WarehouseError(f"{table.name} cannot become a {kind}: {why}. It was left as it is. {remedy}")
