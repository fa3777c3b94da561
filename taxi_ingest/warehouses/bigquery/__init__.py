"""BigQuery as warehouse: `bigquery://project/dataset`, with Google's own client.

A month is replaced by one atomic job. `?method=partition` (the default) loads the object into the month's partition:
free, no DML. `?method=merge` loads a staging table and runs one MERGE: for tables partitioned otherwise, and for
servers that know no partition decorators. Credentials are Google's defaults; BIGQUERY_EMULATOR_HOST is honoured as
the client does.

Beside this module: `bigquery_names` (URL and grammar), `bigquery_errors` (sentences), `bigquery_jobs`,
`bigquery_tables`, `bigquery_marks` (the table `_loads`), `bigquery_replacing` (one month).
"""

from __future__ import annotations

import contextlib
import shlex
import threading
from collections.abc import Callable, Iterator, Sequence

from google.api_core import exceptions as answers

from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.errors import TransientError, WarehouseError
from taxi_ingest.warehouses import HeldMonth, Months, Table
from taxi_ingest.warehouses.bigquery import tables
from taxi_ingest.warehouses.bigquery.address import Address, address, bucket_of, check_table, in_one_location
from taxi_ingest.warehouses.bigquery.errors import no_project, words
from taxi_ingest.warehouses.bigquery.jobs import Jobs, Record, bucket_location, calls, who
from taxi_ingest.warehouses.bigquery.marks import Load, Marks
from taxi_ingest.warehouses.bigquery.replacing import Replacing

_TURNS: dict[tuple[str, str, str | None], threading.Lock] = {}
_PREPARING = threading.Lock()
"""Tables are made by one thread of this process at a time."""


def connect(url: str) -> BigQuery:
    """The warehouse that `bigquery://project/dataset` names, untouched; raises UsageError for an impossible name."""
    return BigQuery(url, address(url))


class BigQuery:
    """One table a dataset, in one dataset of BigQuery."""

    reads: Sequence[str] = ("gs",)
    on_this_disk = False
    patience = 0.0

    def __init__(self, url: str, place: Address) -> None:
        self.url = url
        self._place = place
        self._jobs = Jobs(place.project)
        self._marks = Marks(self._jobs, place)

    def opens(self, table: str) -> str:
        """A line for the shell. `bq head` reads what it shows; a query with LIMIT would read, and bill, all rows."""
        return f"bq head --max_rows=10 {shlex.quote(f'{self._place}.{check_table(table)}')}"

    def held(self, *tables: str) -> dict[str, Months]:
        """Every month whose newest load is done, with the rows that are there now."""
        return {table: self._held(table) for table in tables}

    def _held(self, table: str) -> Months:
        with words(self._place):
            try:
                held = self._marks.held(check_table(table))
                if self._place.method == "merge" and any(month.rows != month.loaded for month in held.values()):
                    held = self._counted_by_scan(table, held)
            except answers.NotFound as error:
                if no_project(error):
                    raise
                return {}
        return held

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
        """Replace one month by one atomic job; see the contract in the folder's front page.

        `record` is called with `project:location.job` of each job that writes, before it is sent.
        """
        bucket = bucket_of(file)
        write_down: Record = record or (lambda _: None)
        check_table(table.name)
        with words(self._place), _turn(self.url, table.name, month):
            with _PREPARING:
                into = tables.dataset(self._jobs, self._place, bucket)
                tables.prepare(self._jobs, self._place, table, month, into)
            load = Load(table, month, mark, rows, source, into.location, write_down)
            return Replacing(self._jobs, self._marks, self._place, load).run(file)

    def settle(self, job: str) -> None:
        """See to it that a job which an earlier, killed run recorded does no more; the table tells what it did."""
        with words(self._place):
            self._jobs.settle(job)

    def examine(self, bucket: str | None) -> Iterator[tuple[bool, str]]:
        """What must be well for loads from `bucket` to work, each with a sentence; changes nothing."""
        try:
            with words(self._place):
                yield True, f"credentials are there: {who()}"
                self._jobs.ask("SELECT 1", {})
                yield True, f"jobs may be run in project {self._place.project}"
                yield from self._places(bucket)
        except (WarehouseError, TransientError) as error:
            yield False, str(error)

    def _places(self, bucket: str | None) -> Iterator[tuple[bool, str]]:
        where = bucket_location(bucket, self._place.project) if bucket else ""
        try:
            found = self._jobs.client.get_dataset(f"{self._place.project}.{self._place.dataset}", **calls())
        except answers.NotFound:
            yield True, f"dataset {self._place} is not there yet; it is made at the first load"
            return
        yield True, f"dataset {self._place} is there, in {found.location}"
        if where and in_one_location(found.location, where):
            yield True, f"bucket gs://{bucket} is in a location it can be loaded from: {where}"
        elif where:
            yield (
                False,
                f"The dataset {self._place} is in {found.location} and the bucket gs://{bucket} in {where}, but both "
                "must be in one location. Use another dataset (a new one is made where the bucket is) or bucket.",
            )
        expiry = tables.dataset_expiry(self._place, found)
        yield not expiry, expiry or "no partition expires by default"

    def _counted_by_scan(self, table: str, held: dict[str | None, HeldMonth]) -> dict[str | None, HeldMonth]:
        """The same months with their rows counted, where a table is partitioned otherwise than by file_month."""
        if None in held or tables.by_file_month(self._jobs.client.get_table(self._place.table(table), **calls())):
            return held
        sql = f"SELECT {FILE_MONTH}, COUNT(*) AS now FROM {self._place.quoted(table)} GROUP BY {FILE_MONTH}"  # noqa: S608
        now = {row[FILE_MONTH].strftime("%Y-%m"): row["now"] for row in self._jobs.ask(sql, {}) if row[FILE_MONTH]}
        return {
            month: HeldMonth(known.mark, now.get(month, 0), known.loaded, known.source) for month, known in held.items()
        }


@contextlib.contextmanager
def _turn(url: str, table: str, month: str | None) -> Iterator[None]:
    """One thread of this process at a time replaces a month."""
    with _PREPARING:
        turn = _TURNS.setdefault((url, table, month), threading.Lock())
    with turn:
        yield
