"""BigQuery as warehouse: `bigquery://project/dataset`, with Google's own client.

A month is replaced by one atomic job. `?method=partition` (the default) loads the object into the month's partition:
free, no DML. `?method=merge` loads a staging table and runs one MERGE: for tables partitioned otherwise, and for
servers without partition decorators. By `?method=external`, the table shows the store's objects, and nothing is copied.

In this folder: `address` (URL and names), `errors` (sentences), `locations`, `expiry`, `costs`, `jobs`, `repeating` and
`references` (of jobs), `tables`, `marks` (the table `_loads`), `replacing` (one month), `external`, `zone_views` (the
names of zones beside trips), `comparing` (a month beside its object), `querying` (SQL of a user's).
"""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import threading
from collections.abc import Callable, Iterator
from datetime import date

from google.api_core import exceptions as answers
from google.cloud import bigquery

from taxi_ingest import google_cloud
from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.errors import TransientError, UsageError, WarehouseError
from taxi_ingest.place import Check, Place
from taxi_ingest.warehouses import HeldMonth, Months, Options, Table, Traits, month_key
from taxi_ingest.warehouses.bigquery import tables
from taxi_ingest.warehouses.bigquery.address import Address, bucket_of, check_table, parse_address
from taxi_ingest.warehouses.bigquery.comparing import compare, comparison_bytes
from taxi_ingest.warehouses.bigquery.costs import bill_of
from taxi_ingest.warehouses.bigquery.errors import is_project_missing, translated_errors
from taxi_ingest.warehouses.bigquery.expiry import expiries
from taxi_ingest.warehouses.bigquery.external import ExternalTables
from taxi_ingest.warehouses.bigquery.jobs import Jobs, Sending, call_options
from taxi_ingest.warehouses.bigquery.locations import BucketLocation, UnseenBucketError, bucket_location, distance
from taxi_ingest.warehouses.bigquery.marks import Load, Marks
from taxi_ingest.warehouses.bigquery.querying import answer
from taxi_ingest.warehouses.bigquery.replacing import Replacement, checked_count
from taxi_ingest.warehouses.bigquery.zone_views import ZoneViews
from taxi_ingest.warehouses.capabilities import Answer, Bill, Compared
from taxi_ingest.warehouses.zone_views import told_once

_MONTH_LOCKS: dict[tuple[Address, str, str | None], threading.Lock] = {}
_PREPARING = threading.Lock()
"""Held while a thread of this process creates tables, or a lock in `_MONTH_LOCKS`."""


class BigQuery:
    """One table per dataset of the catalog, in one dataset of BigQuery."""

    traits = Traits(reads=("gs",))

    def __init__(self, place: Place, options: Options) -> None:
        self.place = place
        self._address = parse_address(place, options.method)
        labels = dict(label.split("=") for label in options.labels)
        self._jobs = Jobs(self._address.payer, labels=labels, maximum_bytes_billed=options.maximum_bytes_billed)
        self._marks = Marks(self._jobs, self._address)
        self._external = ExternalTables(self._jobs, self._address) if self._address.method == "external" else None
        self._zone_views = ZoneViews(self._jobs, self._address, place, told_once(options.announce))

    def held(self, *tables: str) -> dict[str, Months]:
        """Every month whose newest load is done, with the rows that are in the table now."""
        return {table: self._held(table) for table in tables}

    def _held(self, table: str) -> Months:
        with translated_errors(self._address):
            if self._external:
                return self._external.held(check_table(table))
            try:
                held = self._marks.held(check_table(table))
                if self._address.method == "merge" and any(month.rows != month.loaded for month in held.values()):
                    held = self._counted_by_scan(table, held)
            except answers.NotFound as error:
                if is_project_missing(error):
                    raise
                return {}
            except answers.BadRequest:
                if tables.are_loads_ours(self._jobs, self._address):
                    raise
                return {}  # somebody else's records; the load refuses them
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
        """Replace one month by one atomic job; see the contract, `Warehouse.replace`.

        `record` is called with `project:location.job` of each job that writes, before it is sent.
        """
        bucket = bucket_of(file)
        check_table(table.name)
        with translated_errors(self._address), _one_writer(self._address, table.name, month):
            with _PREPARING:
                dataset = tables.ensure_dataset(self._jobs, self._address, bucket)
                if self._external:
                    counted = self._external.show(table, file, dataset)
                    checked_count(self._address, table, month, file, counted=counted, expected=rows)
                else:
                    more = tables.ensure_table(self._jobs, self._address, table, month, dataset)
            if not self._external:
                sending = Sending(dataset.location, record or (lambda _: None))
                load = Load(table, month, mark, rows, source, sending)
                counted = Replacement(self._jobs, self._marks, self._address, load, more).run(file)
            self._zone_views.make(table)
        return counted

    def make_views(self, table: Table) -> None:
        """Make the views with the names of zones that are missing; see the contract, `Warehouse.make_views`."""
        self._zone_views.make(table)

    def settle(self, job: str) -> None:
        """Make sure that the recorded job `job` has ended; see the contract, `SettlesJobs.settle`."""
        with translated_errors(self._address):
            self._jobs.settle(job)

    def comparison_bytes(self, table: Table, month: str | None) -> int:
        """The most bytes that a comparison is billed for; see the contract, `ComparesAtCost.comparison_bytes`."""
        with translated_errors(self._address):
            return comparison_bytes(self._jobs, self._address, table, month)

    def compare_billed(self, table: Table, month: str | None, *, file: str, most_bytes: int) -> Compared:
        """Compare a month with an object by checksums; see the contract, `ComparesAtCost.compare_billed`."""
        with translated_errors(self._address):
            return compare(self._jobs, self._address, table, month, file, most_bytes)

    def unrecorded(self, table: Table) -> dict[date | None, int]:
        """Rows that no load recorded, from the metadata of partitions; see `CountsUnrecorded.unrecorded`.

        None of a table that is partitioned otherwise than by `file_month`, which only a scan could count.
        """
        if not table.monthly:
            return {}
        with translated_errors(self._address):
            try:
                found = self._jobs.client.get_table(self._address.table(table.name), **call_options())
                if not tables.is_partitioned_by_file_month(found):
                    return {}
                return self._marks.unrecorded(table.name)
            except answers.NotFound as error:
                if is_project_missing(error):
                    raise
                return {}

    @contextlib.contextmanager
    def query(self, sql: str) -> Iterator[Answer]:
        """Answer SQL by a query job, once a dry run says that it reads; see the contract, `AnswersQueries.query`."""
        yield answer(self._jobs, self.place, self._address, sql)

    def preview_command(self, table: str) -> str:
        """A `bq head`, which reads only what it shows; a query with LIMIT would read, and bill, all rows.

        An external table has no such head; its rows are counted, which reads no column.
        """
        if self._external:
            sql = f"SELECT COUNT(*) FROM {self._address.quoted(check_table(table))}"  # noqa: S608
            return f"bq query --use_legacy_sql=false {shlex.quote(sql)}"
        return f"bq head --max_rows=10 {shlex.quote(f'{self._address}.{check_table(table)}')}"

    def checks(self, store: Place) -> Iterator[Check]:
        """Credentials, permission to run jobs, the dataset, and whether it can load from the bucket of `store`."""
        try:
            bucket = bucket_of(store.shown)
            with translated_errors(self._address):
                yield Check(True, google_cloud.signed_in_as(google_cloud.BIGQUERY_EMULATOR))
                self._jobs.query("SELECT 1", {})
                yield Check(True, f"jobs may be run in project {self._address.payer}")
                yield from self._dataset_checks(bucket)
        except (UsageError, WarehouseError, TransientError) as error:
            yield Check(False, str(error))

    def _dataset_checks(self, bucket: str) -> Iterator[Check]:
        dataset, where = self._dataset(), self._seen(bucket)
        if dataset is None:
            where = where or bucket_location(bucket, self._address.payer)  # the dataset is to be made there
            location = tables.location_of_new(self._address, bucket, where)
            self._jobs.foresee(f"CREATE SCHEMA `{self._address.dataset_id}`", location=location)
            yield Check(True, f"dataset {self._address} does not exist yet; the first load creates it, in {location}")
            yield self._distance_check(location, bucket, where)
            return
        tables.check_location(self._address, dataset)
        yield Check(True, f"dataset {self._address} exists, in {dataset.location}")
        if where:
            yield self._distance_check(str(dataset.location), bucket, where)
        expiring = list(expiries(self._address, dataset))
        yield from (Check(False, sentence) for sentence in expiring)
        if not expiring:
            yield Check(True, "no table or partition expires by default")
        statement = f"CREATE TABLE {self._address.quoted('_taxi_ingest_doctor')} (x INT64)"
        self._jobs.foresee(statement, location=str(dataset.location))
        yield Check(True, f"tables may be created in {self._address}")
        strays = sorted(self._external.strays()) if self._external else []
        if strays:
            yield Check(
                False, f"tables show objects that no run put there: {', '.join(strays[:5])}. Move them elsewhere."
            )

    def _distance_check(self, location: str, bucket: str, where: BucketLocation) -> Check:
        try:
            billed = self._transfer(location, bucket, where)
        except WarehouseError as error:
            return Check(False, str(error))
        return Check(True, billed or f"bucket gs://{bucket} is in a location it can be loaded from: {where}")

    def refusal(self, table: Table) -> str:
        """Why a load into `table` would be refused; see the contract, `TellsForeignTables.refusal`.

        Only for a table that lost its label, `_loads` is asked, and 10 MB are billed.
        """
        with translated_errors(self._address):
            dataset = self._dataset()
            if dataset is None:
                return ""
            try:
                if self._external:
                    self._external.usable_table(table, dataset)
                else:
                    tables.usable_tables(self._jobs, self._address, table, dataset)
            except WarehouseError as refused:
                return str(refused)
        return ""

    def bill(self, table: Table, rows: int) -> Bill:
        """What a load costs at most; see the contract, `Foresees.bill`."""
        return bill_of(table, rows, self._address.method)

    def foresee(self, store: Place) -> list[str]:
        """Compare the locations of bucket and dataset; see the contract, `Foresees.foresee`."""
        bucket = bucket_of(store.shown)
        with translated_errors(self._address):
            dataset, where = self._dataset(), self._seen(bucket)
            if dataset:
                tables.check_location(self._address, dataset)
            if where is None:
                return []  # BigQuery itself compares
            location = dataset.location if dataset else tables.location_of_new(self._address, bucket, where)
            billed = self._transfer(str(location), bucket, where)
        return [billed] if billed else []

    def _seen(self, bucket: str) -> BucketLocation | None:
        """Where a bucket is; None if these credentials may not see it."""
        try:
            return bucket_location(bucket, self._address.payer)
        except UnseenBucketError:
            return None

    def _dataset(self) -> bigquery.Dataset | None:
        try:
            return self._jobs.client.get_dataset(self._address.dataset_id, **call_options())
        except answers.NotFound as error:
            if is_project_missing(error):
                raise
            return None

    def _transfer(self, location: str, bucket: str, where: BucketLocation) -> str:
        """What loads cost because a dataset in `location` is far from the bucket; "" if nothing.

        Raises WarehouseError if they are too far apart to load at all.
        """
        dataset_is = f"The dataset {self._address} is in {location} and the bucket gs://{bucket} in {where}"
        between = distance(location, where)
        if between == "together":
            return ""
        if between == "transfer" and self._external is None:
            return f"{dataset_is}: Google bills the transfer of what is loaded."
        raise WarehouseError(
            f"{dataset_is}, but both must be in one location. Use another dataset (a new one is created where the "
            "bucket is) or bucket."
        )

    def _counted_by_scan(self, table: str, held: dict[str | None, HeldMonth]) -> dict[str | None, HeldMonth]:
        """`held` with its rows counted by a query, if the table is partitioned otherwise than by file_month."""
        if None in held:
            return held
        found = self._jobs.client.get_table(self._address.table(table), **call_options())
        if tables.is_partitioned_by_file_month(found):
            return held
        name = self._address.quoted(table)
        sql = f"SELECT {FILE_MONTH}, COUNT(*) AS row_count FROM {name} GROUP BY {FILE_MONTH}"  # noqa: S608
        counted = {month_key(row[FILE_MONTH]): int(row["row_count"]) for row in self._jobs.query(sql, {})}
        return {month: dataclasses.replace(known, rows=counted.get(month, 0)) for month, known in held.items()}


@contextlib.contextmanager
def _one_writer(address: Address, table: str, month: str | None) -> Iterator[None]:
    """Let only one thread of this process replace a month at a time."""
    with _PREPARING:
        lock = _MONTH_LOCKS.setdefault((address, table, month), threading.Lock())
    with lock:
        yield
