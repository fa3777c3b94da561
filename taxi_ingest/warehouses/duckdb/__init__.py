"""A DuckDB file as warehouse: `duckdb:PATH`. A month's mark and rows are written in one transaction.

In this folder: `connecting` (the file, and other programs that have it open), `tables` (whose they are, what they
lack), `comparing` (a month beside its Parquet file).
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.catalog.months import first_day
from taxi_ingest.errors import UsageError, WarehouseError
from taxi_ingest.place import Check, Place
from taxi_ingest.warehouses import Compared, HeldMonth, Months, Options, Table, Traits, month_key
from taxi_ingest.warehouses.duckdb.comparing import compare
from taxi_ingest.warehouses.duckdb.connecting import Connections
from taxi_ingest.warehouses.duckdb.tables import LOADS, LOADS_COLUMNS, LOADS_ELSEWHERE, as_pattern, prepare, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


_MOST_FREE = 1 / 3
"""The share of the file that replaced rows may leave free: the file is then half as large again as it need be."""

_BLOCKS = """
SELECT free_blocks, greatest(total_blocks, 1) FROM pragma_database_size() WHERE database_name = current_database()
"""


@dataclass(frozen=True)
class _Load:
    """One row of `_loads`; `day` is the first day of the month."""

    day: date | None
    mark: str
    rows: int
    source: str


class DuckDB:
    """One table per dataset in one file, which is opened for each operation and created by the first load."""

    # measured: 4 million yellow rows take 103 MB in the DuckDB file and 72 MB in Parquet
    traits = Traits(reads=(), needs_network=False, disk_per_parquet=1.5)

    def __init__(self, place: Place, options: Options) -> None:
        path = place.url.partition(":")[2].removeprefix("//")
        if not path or path.startswith(":"):
            raise UsageError(f"'{place}' names no file. Write duckdb:FILE, for example duckdb:taxi.duckdb.")
        if str(place) != place.url:  # what is not shown would be part of the file's name
            raise UsageError(f"'{place}' must be a file without user, ?, # and ;. Write duckdb:FILE.")
        if any(character in path for character in "?\\"):
            shown = str(place).partition("?")[0]  # what follows may be a token
            raise UsageError(
                f"'{shown}' begins a path that DuckDB itself misreads: it takes \\ for / and looks for its log before "
                "a ?. Name a file without them: --warehouse duckdb:FILE."
            )
        self.place = place
        self._path = Path(path).absolute()  # DuckDB has its own meaning for some beginnings, such as ~ and md:
        self._connections = Connections(place, self._path, options)

    def held(self, *tables: str) -> dict[str, Months]:
        """Every recorded month of `tables`, with the rows that are in the table now."""
        if not self._connections.has_database:
            return {table: {} for table in tables}
        with self._connections.open(read_only=True) as db:
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
        load = _Load(first_day(month) if month else None, mark, rows, source)
        with self._connections.open(read_only=False) as db:
            if self._replace(db, table, file, load):
                self._reclaim(db, table, file, load)
        return rows

    def _replace(self, db: DuckDBPyConnection, table: Table, file: str, load: _Load) -> int:
        """Replace the month of `load` in one transaction, and return how many rows it had before."""
        with _transaction(db):
            loads = prepare(db, table, self.place)
            name, of_month = quoted(table.name), f"WHERE {FILE_MONTH} = ?" if load.day else ""
            parameters = [load.day] if load.day else []
            columns = ", ".join(quoted(column) for column in table.column_names)
            before = _number(db.execute(f"DELETE FROM {name} {of_month}", parameters))  # noqa: S608
            # as_pattern, hive_partitioning: a path with [ ] ? * names one file, and one with name=value no column
            rows_of_file = "read_parquet(?, hive_partitioning = false)"
            db.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {rows_of_file}", [as_pattern(file)])  # noqa: S608
            counted = _number(db.execute(f"SELECT count(*) FROM {name} {of_month}", parameters))  # noqa: S608
            if counted != load.rows:
                raise WarehouseError(
                    f"{table.name} {month_key(load.day) or ''} would have {counted:,} rows, but {file} should hold "
                    f"{load.rows:,}. The table was left as it was. Run parquetize --force for this month."
                )
            _record(db, loads, table.name, load)
        return before

    def _reclaim(self, db: DuckDBPyConnection, table: Table, file: str, load: _Load) -> None:
        """Give the space of replaced rows back to the file system, when it is more than a third of the file.

        The new rows were written behind the old ones, where they keep the file from becoming shorter. Written once
        more, they take the place of the old ones.
        """
        import duckdb

        with contextlib.suppress(duckdb.Error):  # the month is loaded, however large the file is
            db.execute("CHECKPOINT")
            if _share_free(db) <= _MOST_FREE:
                return
            db.execute("SET experimental_metadata_reuse = false")  # what is used again stays at the end of the file
            self._replace(db, table, file, load)
            db.execute("CHECKPOINT")
            with _transaction(db):  # without a change, the next checkpoint would do nothing
                _record(db, prepare(db, table, self.place), table.name, load)
            db.execute("CHECKPOINT")

    def compare(self, table: Table, month: str | None, *, file: str) -> Compared:
        """Compare a month with a Parquet file by checksums; see the contract, `ComparesContent.compare`."""
        with self._connections.open(read_only=True) as db:
            return compare(db, table, first_day(month) if month else None, file)

    def unrecorded(self, table: Table) -> dict[date | None, int]:
        """Rows that no load recorded, by `file_month`; see the contract, `ComparesContent.unrecorded`."""
        if not table.monthly or not self._connections.has_database:
            return {}
        with self._connections.open(read_only=True) as db:
            recorded = {load.day for load in _recorded(db, table.name)}
            rows = _rows_by_month(db, table.name) if recorded else None
        return {day: count for day, count in (rows or {}).items() if day not in recorded}

    def preview_command(self, table: str) -> str:
        """A command that runs this Python, because the program `duckdb` may not be installed."""
        query = f"FROM {quoted(table)} LIMIT 10"
        code = f"import duckdb; duckdb.connect({str(self._path)!r}, read_only=True).sql({query!r}).show()"
        return shlex.join([sys.executable, "-c", code])

    def checks(self, store: Place) -> Iterator[Check]:
        """Whether the file can be opened, if it exists; `store` does not matter."""
        if not self._connections.has_database:
            yield Check(True, f"{self.place} does not exist yet; the first load creates it")
            return
        try:
            with self._connections.open(read_only=True, patient=False):
                yield Check(True, f"{self.place} can be opened")
        except WarehouseError as error:
            yield Check(False, str(error))


def _record(db: DuckDBPyConnection, loads: str, table: str, load: _Load) -> None:
    db.execute(
        f"DELETE FROM {quoted(loads)} WHERE table_name = ? AND file_month IS NOT DISTINCT FROM ?",  # noqa: S608
        [table, load.day],
    )
    row = [table, load.day, load.mark, load.rows, load.source]
    columns = ", ".join(quoted(column) for column in LOADS_COLUMNS)
    db.execute(f"INSERT INTO {quoted(loads)} ({columns}) VALUES (?, ?, ?, ?, ?)", row)  # noqa: S608


def _held(db: DuckDBPyConnection, table: str) -> Months:
    loads = _recorded(db, table)
    rows = _rows_now(db, table, loads) if loads else None
    if rows is None:
        return {}
    return {month_key(load.day): HeldMonth(load.mark, rows.get(load.day, 0), load.rows, load.source) for load in loads}


def _recorded(db: DuckDBPyConnection, table: str) -> list[_Load]:
    """The recorded loads of a table; none when there is no table of loads of ours.

    A query that may fail costs less than asking first whether there is one.
    """
    for loads in (LOADS, LOADS_ELSEWHERE):
        found = _recorded_in(db, loads, table)
        if found is not None:
            return found
    return []


def _recorded_in(db: DuckDBPyConnection, loads: str, table: str) -> list[_Load] | None:
    """The loads of a table that `loads` records; None when that is missing or somebody else's."""
    import duckdb

    names = list(LOADS_COLUMNS)[1:]
    query = f"SELECT {', '.join(map(quoted, names))} FROM {quoted(loads)} WHERE table_name = ?"  # noqa: S608
    try:
        result = db.execute(query, [table])
    except (duckdb.CatalogException, duckdb.BinderException):
        return None
    if [str(column[1]) for column in result.description] != [LOADS_COLUMNS[name] for name in names]:
        return None
    return [_Load(*row) for row in result.fetchall()]


def _rows_now(db: DuckDBPyConnection, table: str, loads: Sequence[_Load]) -> dict[date | None, int] | None:
    """Rows now in a table by month. Counting all takes no time, counting by month grows with the table.

    So months are counted only where the total is not what was loaded; that a month holds as many other rows escapes.
    """
    import duckdb

    try:
        total = _number(db.execute(f"SELECT count(*) FROM {quoted(table)}"))  # noqa: S608
    except duckdb.CatalogException:
        return None
    if total == sum(load.rows for load in loads):
        return {load.day: load.rows for load in loads}
    return _rows_by_month(db, table)


def _rows_by_month(db: DuckDBPyConnection, table: str) -> dict[date | None, int] | None:
    """Rows now in a table, by month, under None for a table without months; None if there is no such table."""
    import duckdb

    for month in (FILE_MONTH, "NULL"):
        query = f"SELECT {month}, count(*) FROM {quoted(table)} GROUP BY ALL"  # noqa: S608
        try:
            return dict(db.execute(query).fetchall())
        except duckdb.BinderException:
            continue
        except duckdb.CatalogException:
            break
    return None


def _share_free(db: DuckDBPyConnection) -> float:
    """The share of the file that holds nothing."""
    return max(float(free / total) for free, total in db.execute(_BLOCKS).fetchall())


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
