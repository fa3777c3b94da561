"""A DuckDB file as warehouse: `duckdb:PATH`. Mark and rows go in with one transaction."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from taxi_ingest.catalog import FILE_MONTH, Column
from taxi_ingest.catalog.months import first_day
from taxi_ingest.errors import TransientError, UsageError, WarehouseError
from taxi_ingest.warehouses import HeldMonth, Months, Table

SQL_TYPES = {"int64": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "timestamp": "TIMESTAMP"}
WAIT_SECONDS = 30.0
"""How long another program may hold the file before we give up."""

_LOADS = '"_loads"'
_TURN = threading.Lock()
"""One connection at a time in this process: DuckDB refuses a reader and a writer on one file side by side."""


def connect(url: str) -> DuckDB:
    """The warehouse in the file that `duckdb:PATH` names; the file is made at the first load."""
    path = url.removeprefix("duckdb:").removeprefix("//")
    if not path or path.startswith(":"):
        raise UsageError(f"'{url}' names no file. Write duckdb:FILE, for example duckdb:taxi.duckdb.")
    return DuckDB(url, Path(path))


class DuckDB:
    """One table a dataset in one file, opened for each question or load and closed after it."""

    reads: Sequence[str] = ("",)
    on_this_disk = True

    def __init__(self, url: str, path: Path) -> None:
        self.url = url
        self.path = path
        self.patience = WAIT_SECONDS

    def opens(self, table: str) -> str:
        """A line for the shell: this Python has duckdb, while the program `duckdb` may not be there."""
        show = f"import duckdb; duckdb.connect('{self.path}').sql('FROM {table} LIMIT 10').show()"
        return f'{sys.executable} -c "{show}"'

    def held(self, *tables: str) -> dict[str, Months]:
        """Every recorded month of `tables`, with the rows that are there now."""
        if not self.path.exists():
            return {table: {} for table in tables}
        with self._open(read_only=True) as db:
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
        """Replace one month in one transaction; see the contract in the folder's front page.

        `record` is never called: nothing goes on when we are killed.
        """
        day = first_day(month) if month else None
        with self._open(read_only=False) as db, _transaction(db):
            _prepare(db, table)
            name, of_month = _quoted(table.name), f"WHERE {FILE_MONTH} = ?" if month else ""
            at = [day] if month else []
            columns = ", ".join(_quoted(n) for n, _ in _columns(table))
            db.execute(f"DELETE FROM {name} {of_month}", at)  # noqa: S608
            db.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM read_parquet(?)", [file])  # noqa: S608
            (counted,) = db.execute(f"SELECT count(*) FROM {name} {of_month}", at).fetchone()  # noqa: S608
            if counted != rows:
                raise WarehouseError(
                    f"{table.name} {month or ''} would have {counted:,} rows, but {file} was said to hold {rows:,}. "
                    "The table was left as it was; run parquetize --force for this month."
                )
            _record(db, table.name, day, [mark, rows, source])
        return int(counted)

    def settle(self, job: str) -> None:
        """Nothing: a load into a file ends with its process."""

    def examine(self, bucket: str | None) -> Iterator[tuple[bool, str]]:
        """Whether the file can be opened, when it is there."""
        try:
            with self._open(read_only=True) if self.path.exists() else contextlib.nullcontext():
                yield True, f"{self.path} can be opened" if self.path.exists() else f"{self.path} is not there yet"
        except (WarehouseError, TransientError) as error:
            yield False, str(error)

    @contextlib.contextmanager
    def _open(self, *, read_only: bool) -> Iterator[Any]:
        import duckdb

        with _TURN, contextlib.closing(self._wait_for_file(read_only=read_only)) as db:
            try:
                yield db
            except duckdb.Error as error:
                raise WarehouseError(f"{self.url}: DuckDB refused: {error}") from error

    def _wait_for_file(self, *, read_only: bool) -> Any:
        import duckdb

        self.path.parent.mkdir(parents=True, exist_ok=True)
        give_up = time.monotonic() + self.patience
        while True:
            try:
                return duckdb.connect(str(self.path), read_only=read_only)
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise WarehouseError(f"{self.path} cannot be opened as a DuckDB file: {error}") from error
                if time.monotonic() > give_up:
                    raise TransientError(
                        f"{self.path} is held by another program; close it and run again. DuckDB says: {error}"
                    ) from error
                time.sleep(0.2)
            except duckdb.Error as error:
                raise WarehouseError(f"{self.path} cannot be opened as a DuckDB file: {error}") from error


def _columns(table: Table) -> list[tuple[str, str]]:
    month = [(FILE_MONTH, "DATE")] if table.monthly else []
    return [(c.name, SQL_TYPES[c.type]) for c in table.columns] + month


def _prepare(db: Any, table: Table) -> None:
    """Create what is missing: the table, columns the catalog gained since, comments, and the record of loads."""
    name = _quoted(table.name)
    if table.name not in _tables(db):
        columns = ", ".join(f"{_quoted(n)} {t}" for n, t in _columns(table))
        db.execute(f"CREATE TABLE {name} ({columns})")
        db.execute(f"COMMENT ON TABLE {name} IS {_text(table.title)}")
        for column in table.columns:
            db.execute(f"COMMENT ON COLUMN {name}.{_quoted(column.name)} IS {_text(_comment(column))}")
    for column_name, sql_type in _columns(table):
        db.execute(f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {_quoted(column_name)} {sql_type}")
    db.execute(
        f"CREATE TABLE IF NOT EXISTS {_LOADS} "
        '(table_name VARCHAR, file_month DATE, mark VARCHAR, "rows" BIGINT, source VARCHAR)'
    )


def _record(db: Any, table: str, day: date | None, load: list[Any]) -> None:
    db.execute(
        f"DELETE FROM {_LOADS} WHERE table_name = ? AND file_month IS NOT DISTINCT FROM ?",  # noqa: S608
        [table, day],
    )
    db.execute(f"INSERT INTO {_LOADS} VALUES (?, ?, ?, ?, ?)", [table, day, *load])  # noqa: S608


def _comment(column: Column) -> str:
    return f"{column.meaning} [{column.unit}]" if column.unit else column.meaning


def _held(db: Any, table: str) -> Months:
    loads = _recorded(db, table)
    rows = _rows_by_month(db, table) if loads else None
    if rows is None:
        return {}
    return {
        month.strftime("%Y-%m") if month else None: HeldMonth(mark, rows.get(month, 0), loaded, source)
        for month, mark, loaded, source in loads
    }


def _recorded(db: Any, table: str) -> list[tuple[Any, ...]]:
    """What is recorded of the months of a table; asking for it costs less than asking whether it is there."""
    import duckdb

    query = f'SELECT file_month, mark, "rows", source FROM {_LOADS} WHERE table_name = ?'  # noqa: S608
    try:
        return list(db.execute(query, [table]).fetchall())
    except duckdb.CatalogException:
        return []


def _rows_by_month(db: Any, table: str) -> dict[Any, int] | None:
    """Rows there are now by month, under None for a table without months; None where there is no such table."""
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


def _tables(db: Any) -> set[str]:
    return {name for (name,) in db.execute("SELECT table_name FROM duckdb_tables()").fetchall()}


@contextlib.contextmanager
def _transaction(db: Any) -> Iterator[None]:
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
