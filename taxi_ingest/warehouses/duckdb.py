"""A DuckDB file as warehouse: `duckdb:PATH`. A month's mark and rows are written in one transaction."""

from __future__ import annotations

import contextlib
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.catalog.months import first_day
from taxi_ingest.errors import TransientError, UsageError, WarehouseError
from taxi_ingest.place import Check, Place
from taxi_ingest.warehouses import HeldMonth, Months, Options, Table, Traits, column_comment, month_key

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SQL_TYPES = {"int64": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "timestamp": "TIMESTAMP"}

_LOADS = '"_loads"'
_POLL_SECONDS = 0.2
_ONE_CONNECTION = threading.Lock()
"""Held while this process has a connection: DuckDB refuses a reader and a writer of one file side by side."""


@dataclass(frozen=True)
class _Load:
    """One row of `_loads`; `day` is the first day of the month."""

    day: date | None
    mark: str
    rows: int
    source: str


class DuckDB:
    """One table per dataset in one file, which is opened for each operation and created by the first load."""

    # measured: 7.7 million yellow rows take 316 MB in the DuckDB file and 104 MB in Parquet
    traits = Traits(reads=(), needs_network=False, disk_per_parquet=3.1)

    def __init__(self, place: Place, options: Options) -> None:
        path = place.url.partition(":")[2].removeprefix("//")
        if not path or path.startswith(":"):
            raise UsageError(f"'{place}' names no file. Write duckdb:FILE, for example duckdb:taxi.duckdb.")
        if str(place) != place.url:  # what is not shown would be part of the file's name
            raise UsageError(f"'{place}' must be a file without user, ?, # and ;. Write duckdb:FILE.")
        self.place = place
        self._path = Path(path)
        self._lock_timeout = options.lock_timeout

    def held(self, *tables: str) -> dict[str, Months]:
        """Every recorded month of `tables`, with the rows that are in the table now."""
        if not self._path.exists():
            return {table: {} for table in tables}
        with self._connection(read_only=True) as db:
            return {table: _held(db, table) for table in tables}

    def replace(
        self,
        table: Table,
        month: str | None,
        *,
        file: str,
        rows: int,
        mark: str,
        source: str,
        record: Callable[[str], None] | None = None,
    ) -> int:
        """Replace one month in one transaction; see the contract, `Warehouse.replace`.

        `record` is never called, because nothing continues when this process is killed.
        """
        day = first_day(month) if month else None
        with self._connection(read_only=False) as db, _transaction(db):
            _prepare(db, table)
            name, of_month = _quoted(table.name), f"WHERE {FILE_MONTH} = ?" if month else ""
            parameters = [day] if month else []
            columns = ", ".join(_quoted(column) for column in table.column_names)
            db.execute(f"DELETE FROM {name} {of_month}", parameters)  # noqa: S608
            db.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM read_parquet(?)", [file])  # noqa: S608
            counted = _number(db.execute(f"SELECT count(*) FROM {name} {of_month}", parameters))  # noqa: S608
            if counted != rows:
                raise WarehouseError(
                    f"{table.name} {month or ''} would have {counted:,} rows, but {file} should hold {rows:,}. "
                    "The table was left as it was. Run parquetize --force for this month."
                )
            _record(db, table.name, _Load(day, mark, rows, source))
        return counted

    def preview_command(self, table: str) -> str:
        """A command that runs this Python, because the program `duckdb` may not be installed."""
        query = f"FROM {_quoted(table)} LIMIT 10"
        code = f"import duckdb; duckdb.connect({str(self._path)!r}, read_only=True).sql({query!r}).show()"
        return shlex.join([sys.executable, "-c", code])

    def checks(self, store: Place) -> Iterator[Check]:
        """Whether the file can be opened, if it exists; `store` does not matter."""
        if not self._path.exists():
            yield Check(True, f"{self.place} does not exist yet; the first load creates it")
            return
        try:
            with self._connection(read_only=True):
                yield Check(True, f"{self.place} can be opened")
        except (WarehouseError, TransientError) as error:
            yield Check(False, str(error))

    @contextlib.contextmanager
    def _connection(self, *, read_only: bool) -> Iterator[DuckDBPyConnection]:
        import duckdb

        with _ONE_CONNECTION, contextlib.closing(self._connect(read_only=read_only)) as db:
            try:
                yield db
            except duckdb.Error as error:
                raise WarehouseError(f"{self.place}: DuckDB refused: {error}") from error

    def _connect(self, *, read_only: bool) -> DuckDBPyConnection:
        import duckdb

        self._path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + self._lock_timeout
        while True:
            try:
                return duckdb.connect(str(self._path), read_only=read_only)
            except duckdb.Error as error:
                if not isinstance(error, duckdb.IOException) or "lock" not in str(error).lower():
                    raise WarehouseError(f"{self.place} cannot be opened as a DuckDB file: {error}") from error
                if time.monotonic() > deadline:
                    raise TransientError(
                        f"{self.place} is held by another program. Close it and run again. DuckDB says: {error}"
                    ) from error
                time.sleep(_POLL_SECONDS)


def _columns(table: Table) -> list[tuple[str, str]]:
    """Name and SQL type of every column."""
    types = {column.name: SQL_TYPES[column.type] for column in table.columns}
    return [(name, types.get(name, "DATE")) for name in table.column_names]


def _prepare(db: DuckDBPyConnection, table: Table) -> None:
    """Create what is missing: the table, columns added to the catalog since, comments, and the table of loads."""
    name = _quoted(table.name)
    existing = {name for (name,) in db.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if table.name not in existing:
        columns = ", ".join(f"{_quoted(column)} {sql_type}" for column, sql_type in _columns(table))
        db.execute(f"CREATE TABLE {name} ({columns})")
        db.execute(f"COMMENT ON TABLE {name} IS {_text(table.title)}")
        for column in table.columns:
            db.execute(f"COMMENT ON COLUMN {name}.{_quoted(column.name)} IS {_text(column_comment(column))}")
    for column_name, sql_type in _columns(table):
        db.execute(f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {_quoted(column_name)} {sql_type}")
    db.execute(
        f"CREATE TABLE IF NOT EXISTS {_LOADS} "
        '(table_name VARCHAR, file_month DATE, mark VARCHAR, "rows" BIGINT, source VARCHAR)'
    )


def _record(db: DuckDBPyConnection, table: str, load: _Load) -> None:
    db.execute(
        f"DELETE FROM {_LOADS} WHERE table_name = ? AND file_month IS NOT DISTINCT FROM ?",  # noqa: S608
        [table, load.day],
    )
    row = [table, load.day, load.mark, load.rows, load.source]
    db.execute(f"INSERT INTO {_LOADS} VALUES (?, ?, ?, ?, ?)", row)  # noqa: S608


def _held(db: DuckDBPyConnection, table: str) -> Months:
    loads = _recorded(db, table)
    rows = _rows_by_month(db, table) if loads else None
    if rows is None:
        return {}
    return {month_key(load.day): HeldMonth(load.mark, rows.get(load.day, 0), load.rows, load.source) for load in loads}


def _recorded(db: DuckDBPyConnection, table: str) -> list[_Load]:
    """The recorded loads of a table. A query that may fail costs less than asking first whether `_loads` exists."""
    import duckdb

    query = f'SELECT file_month, mark, "rows", source FROM {_LOADS} WHERE table_name = ?'  # noqa: S608
    try:
        return [_Load(*row) for row in db.execute(query, [table]).fetchall()]
    except duckdb.CatalogException:
        return []


def _rows_by_month(db: DuckDBPyConnection, table: str) -> dict[date | None, int] | None:
    """Rows now in a table, by month, under None for a table without months; None if there is no such table."""
    import duckdb

    for month in (FILE_MONTH, "NULL"):
        query = f"SELECT {month}, count(*) FROM {_quoted(table)} GROUP BY ALL"  # noqa: S608
        try:
            return dict(db.execute(query).fetchall())
        except duckdb.BinderException:
            continue
        except duckdb.CatalogException:
            break
    return None


def _number(result: DuckDBPyConnection) -> int:
    return sum(int(number) for (number,) in result.fetchall())


@contextlib.contextmanager
def _transaction(db: DuckDBPyConnection) -> Iterator[None]:
    db.begin()
    try:
        yield
    except BaseException:
        db.rollback()
        raise
    db.commit()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
