"""Whether two files hold the same rows, as far as sums, extremes and nulls tell: `checking.py OURS THEIRS`.

Each is a Parquet file, or a database with one table of trips: a file of DuckDB or SQLite, or an address of Postgres.
Prints a line a difference. Order does not count, nor do columns that only one of them has, nor how a column's name is
written (dlt makes VendorID vendor_id).
"""

from __future__ import annotations

import math
import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb

Figures = tuple[object, ...]
"""Of a column: values that are there, the least, the greatest, the sum; of texts, the sum of lengths."""


@dataclass(frozen=True)
class Rows:
    """A table in SQL of one engine: how to ask, its name, and by folded column name the value that is compared.

    That value is a text, a double, or for times and dates the whole seconds since 1970, so that engines agree on it.
    """

    ask: Callable[[str], Sequence[object]]
    table: str
    columns: dict[str, str]

    def count(self) -> object:
        """How many rows there are."""
        return self.ask(f"SELECT count(*) FROM {self.table}")[0]

    def figures(self, column: str) -> Figures:
        """The figures of a column."""
        value = self.columns[column]
        summed = f"sum(length({value}))" if "::VARCHAR" in value or "AS TEXT" in value else f"sum({value})"
        return tuple(self.ask(f"SELECT count({value}), min({value}), max({value}), {summed} FROM {self.table}"))


def opened(path: str) -> Rows:
    """The trips in a file or database."""
    if path.startswith("postgresql://"):
        return _postgres(path)
    return _sqlite(path) if path.endswith(".sqlite") else _duckdb(path)


def _duckdb(path: str) -> Rows:
    table = f"read_parquet('{path}')"
    db = duckdb.connect() if path.endswith(".parquet") else duckdb.connect(path, read_only=True)
    if not path.endswith(".parquet"):
        schema, name = db.execute(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_name LIKE '%_tripdata' "
            "AND table_schema NOT LIKE '%_staging'"
        ).fetchall()[0]
        table = f'"{schema}"."{name}"'
    described = db.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()
    columns = {_folded(row[0]): _duckdb_value(row[0], row[1]) for row in described}
    return Rows(lambda query: db.execute(query).fetchone() or (), table, columns)


def _duckdb_value(name: str, kind: str) -> str:
    if kind.startswith(("TIMESTAMP", "DATE")):
        return f'epoch("{name}")::BIGINT'
    return f'"{name}"::VARCHAR' if kind == "VARCHAR" else f'"{name}"::DOUBLE'


def _sqlite(path: str) -> Rows:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    (table,) = db.execute("SELECT name FROM sqlite_master WHERE name LIKE '%_tripdata'").fetchall()[0]
    described = db.execute(f'PRAGMA table_info("{table}")').fetchall()
    columns = {_folded(row[1]): _sqlite_value(row[1], row[2]) for row in described}
    return Rows(lambda query: db.execute(query).fetchone(), f'"{table}"', columns)


def _sqlite_value(name: str, kind: str) -> str:
    if kind.startswith("TIMESTAMP"):
        return f"CAST(strftime('%s', \"{name}\") AS INTEGER)"
    return f'CAST("{name}" AS {"TEXT" if kind == "TEXT" else "REAL"})'


def _postgres(address: str) -> Rows:
    import psycopg

    db = psycopg.connect(address)
    named = "SELECT oid::regclass::text FROM pg_class WHERE relname LIKE '%_tripdata' AND relkind IN ('r', 'p')"
    (table,) = db.execute(named).fetchone() or ("",)
    described = db.execute(
        "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        [table],
    ).fetchall()
    columns = {_folded(name): _postgres_value(name, kind) for name, kind in described}
    return Rows(lambda query: db.execute(query).fetchone() or (), table, columns)  # type: ignore[call-overload]


def _postgres_value(name: str, kind: str) -> str:
    if kind.startswith(("timestamp", "date")):
        return f'extract(epoch FROM "{name}")::bigint'
    return f'CAST("{name}" AS {"TEXT" if kind == "text" else "double precision"})'


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _equal(ours: Figures, theirs: Figures) -> bool:
    """Sums of doubles depend on the order of the rows, by a little."""
    sums = ours[3], theirs[3]
    if isinstance(sums[0], float) and isinstance(sums[1], float):
        return ours[:3] == theirs[:3] and math.isclose(*sums, rel_tol=1e-9)
    return ours == theirs


def differences(ours: str, theirs: str) -> list[str]:
    """A sentence a difference."""
    mine, other = opened(ours), opened(theirs)
    if mine.count() != other.count():
        return [f"{other.count()} rows where we have {mine.count()}"]
    found = {name: (mine.figures(name), other.figures(name)) for name in mine.columns if name in other.columns}
    if not found:
        return ["no column of ours"]
    return [f"{name}: {that} where we have {this}" for name, (this, that) in found.items() if not _equal(this, that)]


if __name__ == "__main__":
    for line in differences(sys.argv[1], sys.argv[2]):
        print(line)
