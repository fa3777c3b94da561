"""A DuckDB file as warehouse: `duckdb:PATH`. A month's mark and rows are written in one transaction.

By the method `table`, rows are copied into a table. By `external`, the table is a view over the Parquet files of a
store that is a folder: a load counts the rows of one file and makes the view anew. The first load by the other method
turns a table into a view, or a view into a table, with all of its months.

In this folder: `connecting` (the file, and other programs that have it open), `tables` (whose they are, what they
lack), `holding` (what is there), `views`, `switching` (from one to the other), `loads` (marks), `zone_views` (the
names of zones beside trips), `comparing` (a month beside its Parquet file), `querying` (SQL of a user's), `confining`
(the files it can open), `sql`.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.catalog.months import first_day
from taxi_ingest.errors import InUseError, UsageError, WarehouseError
from taxi_ingest.place import Check, Place
from taxi_ingest.process import as_typed
from taxi_ingest.warehouses import EXTERNAL, Months, Options, Table, Traits, month_key
from taxi_ingest.warehouses.capabilities import Answer, Compared
from taxi_ingest.warehouses.duckdb.comparing import compare
from taxi_ingest.warehouses.duckdb.confining import confine
from taxi_ingest.warehouses.duckdb.connecting import Connections, transaction
from taxi_ingest.warehouses.duckdb.holding import held_months, rows_by_month
from taxi_ingest.warehouses.duckdb.loads import Load, create_loads, name_of_loads, recorded, tables_with_loads
from taxi_ingest.warehouses.duckdb.loads import record as record_load
from taxi_ingest.warehouses.duckdb.querying import answer
from taxi_ingest.warehouses.duckdb.sql import number, quoted, rows_in_file
from taxi_ingest.warehouses.duckdb.switching import table_to_view, view_to_table
from taxi_ingest.warehouses.duckdb.tables import check_relation, comment_on, is_our_view, is_table, prepare
from taxi_ingest.warehouses.duckdb.views import count_rows, create_view, file_now, is_whole, view_title
from taxi_ingest.warehouses.duckdb.zone_views import lack_zone_views, make_zone_views
from taxi_ingest.warehouses.zone_views import told_once

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MOST_FREE = 1 / 3
"""The share of the file that replaced rows may leave free: the file is then half as large again as it need be."""

_SWEPT = "_taxi_ingest_sweep"
"""The name of a table that is made and dropped in one transaction, so that nobody sees it."""

_BLOCKS = """
SELECT free_blocks, greatest(total_blocks, 1) FROM pragma_database_size() WHERE database_name = current_database()
"""


class DuckDB:
    """One table or view per dataset in one file, which is opened for each operation and created by the first load."""

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
        self._makes_views = options.method == EXTERNAL
        if self._makes_views:
            self.traits = Traits(reads=("",), needs_network=False, disk_per_parquet=0.0)
        self._path = Path(path).absolute()  # DuckDB has its own meaning for some beginnings, such as ~ and md:
        self._connections = Connections(place, self._path, options)
        self._tell = told_once(options.announce)

    def held(self, *tables: str) -> dict[str, Months]:
        """Every recorded month of `tables`, with the rows that are in the table now."""
        if not self._connections.has_database:
            return {table: {} for table in tables}
        with self._connections.open(read_only=True) as db:
            return {table: held_months(db, table, makes_views=self._makes_views) for table in tables}

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

        A view is replaced together with the mark as well, but whoever reads it reads the files: when a month's file
        is replaced in the store, that is what a reader sees, old or new but whole, even before the load that follows.
        """
        load = Load(first_day(month) if month else None, mark, rows, source)
        drops_table = False
        with self._connections.open(read_only=False) as db:
            if self._makes_views:
                drops_table = self._show(db, table, file, load)
            elif self._replace(db, table, file, load):
                self._reclaim(db, table, file, load)
            make_zone_views(db, table, self.place, self._tell)
        if drops_table:
            self._give_back_room(table)
        return rows

    def _replace(self, db: DuckDBPyConnection, table: Table, file: str, load: Load) -> bool:
        """Replace the month of `load` in one transaction, and return whether it had rows before."""
        with transaction(db):
            if is_our_view(db, table.name):
                check_relation(db, table, self.place, name_of_loads(db))
                view_to_table(db, table, load.day)
            loads = prepare(db, table, self.place)
            name, of_month = quoted(table.name), f"WHERE {FILE_MONTH} = ?" if load.day else ""
            parameters = [load.day] if load.day else []
            columns = ", ".join(quoted(column) for column in table.column_names)
            before = number(db.execute(f"DELETE FROM {name} {of_month}", parameters))  # noqa: S608
            rows_of_file, path = rows_in_file(file)
            db.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {rows_of_file}", path)  # noqa: S608
            counted = number(db.execute(f"SELECT count(*) FROM {name} {of_month}", parameters))  # noqa: S608
            _check_count(table, file, load, counted)
            record_load(db, loads, table.name, load)
        return before > 0

    def _reclaim(self, db: DuckDBPyConnection, table: Table, file: str, load: Load) -> None:
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
            with transaction(db):  # without a change, the next checkpoint would do nothing
                record_load(db, prepare(db, table, self.place), table.name, load)
            db.execute("CHECKPOINT")

    def compare(self, table: Table, month: str | None, *, file: str) -> Compared:
        """Compare a month with a Parquet file by checksums; see the contract, `ComparesContent.compare`."""
        with self._connections.open(read_only=True) as db:
            return compare(db, table, first_day(month) if month else None, file)

    def unrecorded(self, table: Table) -> dict[date | None, int]:
        """Rows that no load recorded, by `file_month`; see the contract, `CountsUnrecorded.unrecorded`."""
        if not table.monthly or not self._connections.has_database:
            return {}
        with self._connections.open(read_only=True) as db:
            days = {load.day for load in recorded(db, table.name)}
            counts = bool(days) and is_table(db, table.name)
            rows = rows_by_month(db, table.name) if counts else None
        return {day: count for day, count in (rows or {}).items() if day not in days}

    def refusal(self, table: Table) -> str:
        """Why a load into `table` would be refused; see the contract, `TellsForeignTables.refusal`."""
        if not self._connections.has_database:
            return ""
        with self._connections.open(read_only=True) as db:
            try:
                check_relation(db, table, self.place, name_of_loads(db))
            except WarehouseError as refused:
                return str(refused)
        return ""

    def sweep(self, *_tables: str) -> None:
        """Take into the file what a killed load left in DuckDB's log beside it, and have the log removed."""
        if self._path.with_name(f"{self._path.name}.wal").exists():
            with self._connections.open(read_only=False, patient=False) as db:
                with transaction(db):  # without a change, a log in which nothing was committed would stay
                    db.execute(f"CREATE TABLE {quoted(_SWEPT)} (n INTEGER)")
                    db.execute(f"DROP TABLE {quoted(_SWEPT)}")
                db.execute("CHECKPOINT")

    @contextlib.contextmanager
    def query(self, sql: str) -> Iterator[Answer]:
        """Answer SQL in a file that is opened to be read; see the contract, `AnswersQueries.query`."""
        if not self._connections.has_database:
            raise WarehouseError(f"{self.place} does not exist yet: run or load creates it.")
        with self._connections.open(read_only=True, for_queries=True) as db:
            confine(db)
            with answer(db, self.place, sql) as answered:
                yield answered

    def _show(self, db: DuckDBPyConnection, table: Table, file: str, load: Load) -> bool:
        """Make the view anew with `file` for the month of `load`, and return whether a table became the view."""
        shown = file_now(str(Path(file).absolute()))
        if shown is None:
            raise WarehouseError(f"{file} is not there. Run upload for this month.")
        load = replace(load, file=shown)
        with transaction(db):
            loads = name_of_loads(db)
            there = check_relation(db, table, self.place, loads)
            loads, was_table = loads or create_loads(db), is_table(db, table.name)
            if was_table:
                table_to_view(db, table, load.day, shown.path)
            elif not there:
                _forget_files(db, loads, table.name)
            record_load(db, loads, table.name, load)
            create_view(db, table, recorded(db, table.name))
            _check_count(table, file, load, count_rows(db, table, load))
        return was_table

    def _give_back_room(self, table: Table) -> None:
        """Make the file as small as it can be after a table was dropped from it.

        DuckDB does so when it is closed after the next change. That is a later load if another program has it open.
        """
        with contextlib.suppress(InUseError), self._connections.open(read_only=False, patient=False) as db:
            comment_on(db, table, "VIEW", view_title(table))

    def make_views(self, table: Table) -> None:
        """Make the views with the names of zones that are missing; see the contract, `Warehouse.make_views`."""
        with self._connections.open(read_only=True) as db:
            lack_views = lack_zone_views(db, table, self.place)
        if lack_views:
            with self._connections.open(read_only=False, patient=False) as db:
                make_zone_views(db, table, self.place, self._tell)

    def preview_command(self, table: str) -> str:
        """Our own `query`, because the program `duckdb` may not be installed."""
        name = table if re.fullmatch(r"[a-z_]+", table) else quoted(table)
        query = f"SELECT * FROM {name} LIMIT 10"  # noqa: S608 - a name of ours, quoted
        return shlex.join([*as_typed(), "query", "--warehouse", f"duckdb:{self._path}", query])

    def checks(self, store: Place) -> Iterator[Check]:
        """Whether the file can be opened, if it exists; `store` does not matter."""
        if not self._connections.has_database:
            yield Check(True, f"{self.place} does not exist yet; the first load creates it")
            return
        try:
            with self._connections.open(read_only=True, patient=False) as db:
                yield Check(True, f"{self.place} can be opened")
                yield from _check_files(db)
        except WarehouseError as error:
            yield Check(False, str(error))


def _check_count(table: Table, file: str, load: Load, counted: int) -> None:
    if counted != load.rows:
        raise WarehouseError(
            f"{table.name} {month_key(load.day) or ''} would have {counted:,} rows, but {file} should hold "
            f"{load.rows:,}. The table was left as it was. Run parquetize --force for this month."
        )


def _forget_files(db: DuckDBPyConnection, loads: str, table: str) -> None:
    """Forget the files of a view that is gone: as with a table, its months are gone with it."""
    for load in recorded(db, table):
        record_load(db, loads, table, replace(load, file=None))


def _check_files(db: DuckDBPyConnection) -> Iterator[Check]:
    """A check for each view of ours: whether all of its files are as they were loaded."""
    for table in tables_with_loads(db):
        loads = [load for load in recorded(db, table) if load.file] if is_our_view(db, table) else []
        changed = [month_key(load.day) or table for load in loads if not is_whole(db, load)]
        if changed:
            yield Check(False, f"{table} shows files that are gone or changed: {', '.join(changed)}. Run them again.")
        elif loads:
            yield Check(True, f"{table} is a view over {len(loads):,} files, and all are there")


def _share_free(db: DuckDBPyConnection) -> float:
    """The share of the file that holds nothing."""
    return max(float(free / total) for free, total in db.execute(_BLOCKS).fetchall())
