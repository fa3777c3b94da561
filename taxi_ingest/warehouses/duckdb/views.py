"""The table as a view over Parquet files, one a month: nothing is copied.

The view names each file, so a file that was only uploaded is not shown. A file that is gone makes every query that
may need its month fail, and none silently gives fewer rows.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.warehouses import Table, month_key
from taxi_ingest.warehouses.duckdb.loads import File, Load
from taxi_ingest.warehouses.duckdb.sql import as_pattern, column_types, number, quoted, rows_in_file, text
from taxi_ingest.warehouses.duckdb.tables import VIEW_SIGN, comment_on
from taxi_ingest.writers.provenance import read_provenance

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def create_view(db: DuckDBPyConnection, table: Table, loads: Sequence[Load]) -> None:
    """Make the view anew over the files of `loads`, with its comments."""
    db.execute(f"CREATE OR REPLACE VIEW {quoted(table.name)} AS {rows_of(table, loads)}")
    comment_on(db, table, "VIEW", view_title(table))


def view_title(table: Table) -> str:
    """The comment of a view, by which we know it as ours."""
    return f"{table.title}: {VIEW_SIGN}"


def rows_of(table: Table, loads: Sequence[Load]) -> str:
    """The SELECT of the rows in the files of `loads`, in the table's columns and types.

    DuckDB does not accept a view over a file that is not there. In the place of one stands a row that cannot be read:
    whoever asks for its month, or for no month in particular, gets an error that names it.
    """
    files = [load.file.path for load in loads if load.file is not None and Path(load.file.path).exists()]
    missing = [load for load in loads if load.file is not None and load.file.path not in files]
    selects = [_select_files(table, files)] if files or not missing else []
    return " UNION ALL ".join([*selects, *(_select_missing(table, load) for load in missing)])


def _select_files(table: Table, files: Sequence[str]) -> str:
    types = column_types(table)
    if not files:
        return f"SELECT {', '.join(f'NULL::{kind} AS {quoted(name)}' for name, kind in types.items())} WHERE false"
    # schema: no file is opened before a query, and a column that a file lacks is NULL
    entries = (
        f"{text(name)}: {{name: {text(name)}, type: '{kind}', default_value: NULL}}" for name, kind in types.items()
    )
    # as_pattern, hive_partitioning: a path with [ ] ? * names one file, and one with name=value no column
    paths = ", ".join(text(as_pattern(path)) for path in files)
    reader = f"read_parquet([{paths}], hive_partitioning = false, schema = MAP {{{', '.join(entries)}}})"
    return f"SELECT {', '.join(map(quoted, types))} FROM {reader}"  # noqa: S608 - quoted


def _select_missing(table: Table, load: Load) -> str:
    # the error stands in every column as well: DuckDB would know without it that a condition on NULL keeps no row
    path, month = load.file.path if load.file else "", month_key(load.day) or ""
    error = f"error({text(f'{table.name} {month}: its file {path} is gone. Load it again.')})"
    day = f"DATE '{load.day}'" if load.day else "NULL::DATE"
    values = {name: day if name == FILE_MONTH else f"{error}::{kind}" for name, kind in column_types(table).items()}
    return f"SELECT {', '.join(f'{value} AS {quoted(name)}' for name, value in values.items())} WHERE {error}"


def count_rows(db: DuckDBPyConnection, table: Table, load: Load) -> int:
    """The rows that the view shows of one month."""
    of_month, parameters = (f"WHERE {FILE_MONTH} = ?", [load.day]) if load.day else ("", [])
    return number(db.execute(f"SELECT count(*) FROM ({rows_of(table, [load])}) {of_month}", parameters))  # noqa: S608


def file_now(path: str) -> File | None:
    """The file as it is now; None when there is none."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - there are hundreds of them, and a Path costs more
    except OSError:
        return None
    return File(path, stat.st_size, stat.st_mtime_ns)


def as_it_is(db: DuckDBPyConnection, load: Load) -> Load:
    """What the view shows of a month now: `load` itself while its file is as recorded or holds the same rows.

    A file that is gone or cut has no rows. One with other rows has no mark, because nobody recorded it. Only where
    size or time are not as recorded, rows and mark are read from its footer; that its bytes are those of the mark is
    the store's promise.
    """
    now = file_now(load.file.path) if load.file else None
    if load.file is not None and now == load.file:
        return load
    rows = _rows_in(db, now.path) if now else None
    if now is None or rows is None:
        return Load(load.day, load.mark, 0, load.source)
    mark = mark_of(now.path)
    return Load(load.day, mark if mark == load.mark and rows == load.rows else "", rows, load.source, now)


def is_whole(db: DuckDBPyConnection, load: Load) -> bool:
    """Whether the view shows the rows of a month as they were loaded."""
    now = as_it_is(db, load)
    return (now.mark, now.rows) == (load.mark, load.rows)


def mark_of(path: str) -> str:
    """The mark in the footer of a Parquet file of ours; "" for any other file."""
    found = read_provenance(Path(path))
    return found.mark if found else ""


def _rows_in(db: DuckDBPyConnection, path: str) -> int | None:
    """The rows of a Parquet file, by its footer; None when it cannot be read."""
    import duckdb

    rows, parameters = rows_in_file(path)
    try:
        return number(db.execute(f"SELECT count(*) FROM {rows}", parameters))  # noqa: S608
    except duckdb.Error:
        return None
