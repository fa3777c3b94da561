"""The small table that records the mark of each month, and of a view's months the file whose rows it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from typing import TYPE_CHECKING

from taxi_ingest.warehouses.duckdb.sql import quoted, relation_types, view_comment

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LOADS = "_loads"
"""The name of the table of loads."""

LOADS_ELSEWHERE = "_taxi_ingest_loads"
"""Its name where somebody else has a table or view called `_loads`."""

_COLUMNS = {
    "table_name": "VARCHAR",
    "file_month": "DATE",
    "mark": "VARCHAR",
    "rows": "BIGINT",
    "source": "VARCHAR",
}

_FILE_COLUMNS = {"file": "VARCHAR", "file_bytes": "BIGINT", "file_mtime_ns": "BIGINT"}
"""What is recorded of a view's months as well; a table of loads has these columns once there was a view."""


@dataclass(frozen=True)
class File:
    """A Parquet file when it was recorded: its absolute path, its size in bytes, its time as `os.stat` gives it."""

    path: str
    bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Load:
    """One month that was loaded; `day` is the first day of the month, `file` what a view shows, None for a table."""

    day: date | None
    mark: str
    rows: int
    source: str
    file: File | None = None


def name_of_loads(db: DuckDBPyConnection) -> str:
    """The name of our table of loads; "" if there is none yet."""
    return next((name for name in (LOADS, LOADS_ELSEWHERE) if _is_loads(db, name)), "")


def create_loads(db: DuckDBPyConnection) -> str:
    """Create the table of loads, which does not exist, and return its name."""
    loads = LOADS_ELSEWHERE if relation_types(db, LOADS) else LOADS
    definition = ", ".join(f"{quoted(column)} {sql_type}" for column, sql_type in _COLUMNS.items())
    db.execute(f"CREATE TABLE {quoted(loads)} ({definition})")
    return loads


def record(db: DuckDBPyConnection, loads: str, table: str, load: Load) -> None:
    """Record a month in place of what was recorded of it before."""
    row: list[object] = [table, load.day, load.mark, load.rows, load.source]
    columns = list(_COLUMNS)
    if load.file is not None:
        _add_file_columns(db, loads)
        row += [load.file.path, load.file.bytes, load.file.mtime_ns]
        columns += _FILE_COLUMNS
    db.execute(
        f"DELETE FROM {quoted(loads)} WHERE table_name = ? AND file_month IS NOT DISTINCT FROM ?",  # noqa: S608
        [table, load.day],
    )
    names, values = ", ".join(map(quoted, columns)), ", ".join("?" for _ in row)
    db.execute(f"INSERT INTO {quoted(loads)} ({names}) VALUES ({values})", row)  # noqa: S608


def _add_file_columns(db: DuckDBPyConnection, loads: str) -> None:
    there = {str(column[0]) for column in db.execute(f"SELECT * FROM {quoted(loads)} LIMIT 0").description}  # noqa: S608
    for column in [column for column in _FILE_COLUMNS if column not in there]:
        db.execute(f"ALTER TABLE {quoted(loads)} ADD COLUMN {quoted(column)} {_FILE_COLUMNS[column]}")


def recorded(db: DuckDBPyConnection, table: str) -> list[Load]:
    """The recorded loads of a table, by month; none when there is no table of loads of ours.

    A query that may fail costs less than asking first whether there is one.
    """
    for loads in (LOADS, LOADS_ELSEWHERE):
        found = _recorded_in(db, loads, table)
        if found is not None:
            return found
    return []


def tables_with_loads(db: DuckDBPyConnection) -> list[str]:
    """The names of all tables that have recorded loads."""
    loads = name_of_loads(db)
    if not loads:
        return []
    names = db.execute(f"SELECT DISTINCT table_name FROM {quoted(loads)} ORDER BY 1").fetchall()  # noqa: S608
    return [str(name) for (name,) in names]


def _is_loads(db: DuckDBPyConnection, name: str) -> bool:
    """Whether this is a table of loads of ours."""
    return _has(relation_types(db, name), _COLUMNS) and view_comment(db, name) is None


def _has(types: Mapping[str, str], columns: Mapping[str, str]) -> bool:
    return columns.items() <= types.items()


def _recorded_in(db: DuckDBPyConnection, loads: str, table: str) -> list[Load] | None:
    """The loads of a table that `loads` records; None when that is missing or somebody else's."""
    import duckdb

    query = f"SELECT * FROM {quoted(loads)} WHERE table_name = ? ORDER BY file_month"  # noqa: S608
    try:
        result = db.execute(query, [table])
    except (duckdb.CatalogException, duckdb.BinderException):
        return None
    types = {str(name): str(kind) for name, kind, *_ in result.description}
    if not _has(types, _COLUMNS):
        return None
    names = list(types)
    load_of = itemgetter(*map(names.index, ("file_month", "mark", "rows", "source")))
    file_of = itemgetter(*map(names.index, _FILE_COLUMNS)) if _has(types, _FILE_COLUMNS) else None
    found = []
    for row in result.fetchall():
        day, mark, rows, source = load_of(row)
        found.append(Load(day, mark, rows, source, _file(*file_of(row)) if file_of else None))
    return found


def _file(path: str | None, size: int, mtime_ns: int) -> File | None:
    """The file that a month's record names; a month that was copied has none."""
    return None if path is None else File(path, size, mtime_ns)
