"""A month of the table beside the Parquet file it was loaded from: checksums that do not depend on the order of rows.

Both sides are computed by one SQL expression in one engine. The checksum of a row is a hash over all of its columns, in
which the position of a column counts; it is hashed once more, because hashes that end in an exclusive-or would cancel
in sums when two rows exchange values. Sums (exact, not modulo anything) take the order out and keep doubled rows in,
which an exclusive-or over rows would lose. Two sets of rows that differ have one sum with a probability of about 2^-64.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.warehouses import Table
from taxi_ingest.warehouses.capabilities import Compared
from taxi_ingest.warehouses.duckdb.loads import recorded
from taxi_ingest.warehouses.duckdb.sql import SQL_TYPES, quoted, rows_in_file
from taxi_ingest.warehouses.duckdb.tables import is_our_view
from taxi_ingest.warehouses.duckdb.views import rows_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def compare(db: DuckDBPyConnection, table: Table, day: date | None, file: str) -> Compared:
    """The rows of the month that begins on `day`, all rows if it is None, beside those of `file`."""
    in_file = rows_in_file(file)
    in_table = _rows_of_month(db, table, day)
    whole = f"count(*), sum(hash(hash({', '.join(_hashed(table, name) for name in table.column_names)})))"
    of_file, of_table = (db.execute(f"SELECT {whole} FROM {rows}", p).fetchall()[0] for rows, p in (in_file, in_table))  # noqa: S608
    if of_file == of_table:
        return Compared(True, of_file[0], of_table[0])
    each = ", ".join(f"sum(hash(hash({_hashed(table, name)})))" for name in table.column_names)
    sums = [db.execute(f"SELECT {each} FROM {rows}", p).fetchall()[0] for rows, p in (in_file, in_table)]  # noqa: S608
    columns = [name for name, a, b in zip(table.column_names, *sums, strict=True) if a != b]
    return Compared(False, of_file[0], of_table[0], tuple(columns))


def _rows_of_month(db: DuckDBPyConnection, table: Table, day: date | None) -> tuple[str, list[date]]:
    """What gives the rows of one month in a FROM, and its parameters.

    Of a view only the file of that month is read: where the file of another one is gone, a query on the view fails.
    """
    of_month, parameters = (f" WHERE {FILE_MONTH} = ?", [day]) if day else ("", [])
    if not is_our_view(db, table.name):
        return f"{quoted(table.name)}{of_month}", parameters
    loads = [load for load in recorded(db, table.name) if load.day == day]
    return f"({rows_of(table, loads)}){of_month}", parameters


def _hashed(table: Table, name: str) -> str:
    """What of a column goes into a hash: DuckDB's takes 0.0 and -0.0 for one number, so the sign goes in, too."""
    kind = next((column.type for column in table.columns if column.name == name), "")
    return f"{quoted(name)}, signbit({quoted(name)})" if SQL_TYPES.get(kind) == "DOUBLE" else quoted(name)
