"""The table as an external table over the store's objects of a dataset: nothing is copied.

It shows every Parquet object in the dataset's folder, so a month is there as soon as it is uploaded, and what the
objects tell of themselves is what is held. A load makes the table if it is missing, and counts the month's rows.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence

from google.api_core import exceptions as answers
from google.cloud import bigquery
from google.cloud.storage import Blob, Bucket

from taxi_ingest import google_cloud
from taxi_ingest.catalog.months import is_month
from taxi_ingest.errors import WarehouseError
from taxi_ingest.warehouses import HeldMonth, Table
from taxi_ingest.warehouses.bigquery import expiry, tables
from taxi_ingest.warehouses.bigquery.address import Address
from taxi_ingest.warehouses.bigquery.jobs import Jobs, call_options
from taxi_ingest.warehouses.bigquery.locations import paid_if_need_be
from taxi_ingest.warehouses.ownership import refuse_foreign

_ALL = "*.parquet"
_ROWS = re.compile(r"[0-9]{1,18}")
_COUNT = "SELECT COUNT(*) AS row_count FROM {table} WHERE _FILE_NAME = @file"


class ExternalTables:
    """The external tables of one dataset of BigQuery."""

    def __init__(self, jobs: Jobs, address: Address) -> None:
        self._jobs = jobs
        self._address = address

    def held(self, name: str) -> dict[str | None, HeldMonth]:
        """The months that the table shows, from the listing of its objects; none if it is no such table of ours."""
        shown = tables.get(self._jobs, self._address, name)
        folder = folder_of(shown) if shown is not None else ""
        return self._months(name, folder) if folder else {}

    def show(self, table: Table, file: str, dataset: bigquery.Dataset) -> int:
        """Make the table show the objects beside `file`; returns the rows of `file` counted in it.

        Raises WarehouseError for a table of this name that is not ours or holds rows, and where months would go.
        """
        wanted = self._wanted(table, f"{file.rpartition('/')[0]}/")
        existing = self.usable_table(table, dataset)
        if existing is None:
            self._jobs.client.create_table(wanted, exists_ok=True, **call_options())
        else:
            self._change(existing, wanted)
        sql = _COUNT.format(table=self._address.quoted(table.name))
        return self._jobs.count(sql, {"file": ("STRING", file)}, location=str(dataset.location))

    def strays(self) -> Iterator[str]:
        """The objects that tables of ours show although no run put them there."""
        there = self._jobs.client.list_tables(self._address.dataset_id, **call_options())
        for item in google_cloud.listed(there):
            if item.table_type == "EXTERNAL" and tables.is_labelled(item):
                shown = tables.get(self._jobs, self._address, item.table_id)
                folder = folder_of(shown) if shown is not None else ""
                blobs = self._objects(folder) if folder else ()
                yield from (_url(blob) for blob in blobs if not _is_ours(blob, item.table_id))

    def usable_table(self, table: Table, dataset: bigquery.Dataset) -> bigquery.Table | None:
        """The table as it is there, if it is. Raises WarehouseError for one that a load must leave alone."""
        existing = tables.get(self._jobs, self._address, table.name)
        if existing is None:
            expiry.refuse_new(self._address, dataset, partitioned=False)
            return None
        name = f"{self._address}.{existing.table_id}"
        if existing.table_type != "EXTERNAL" and tables.is_labelled(existing):
            raise WarehouseError(
                f"Rows were copied into the table {name}; with load.method = external, the store's objects would be "
                f"shown in its place. Drop it first (bq rm -t {name}), name another dataset, or stay with "
                "load.method = table."
            )
        there = tables.found(self._address, existing, is_known=tables.is_labelled(existing), kind="EXTERNAL")
        refuse_foreign(there, tables.types(tables.schema(table)))
        if not folder_of(existing):
            raise WarehouseError(
                f"{name} shows other objects than those of one folder. It was left as it is. Let its owner have it "
                f"show one (gs://BUCKET/…/{_ALL}), or drop it (bq rm -t {name}) and run again."
            )
        expiry.refuse_existing(self._address, existing)
        return existing

    def _change(self, existing: bigquery.Table, wanted: bigquery.Table) -> None:
        """Let the table show another folder, and columns that the catalog gained, if it does not yet."""
        before, after = folder_of(existing), folder_of(wanted)
        same_columns = tables.types(existing.schema) == tables.types(wanted.schema)
        if before == after and same_columns:
            return
        if before != after:
            self._refuse_loss(existing.table_id, before, after)
        existing.external_data_configuration = wanted.external_data_configuration
        existing.schema = wanted.schema
        self._jobs.client.update_table(existing, ["external_data_configuration", "schema"], **call_options())

    def _refuse_loss(self, name: str, before: str, after: str) -> None:
        """Raise WarehouseError if a month that the table shows is not in the folder that it is to show."""
        lost = self._months(name, before).keys() - self._months(name, after).keys()
        if lost:
            months = ", ".join(sorted(month or name for month in lost))
            raise WarehouseError(
                f"{self._address}.{name} shows {before}{_ALL}, and {after} lacks {months} of it. It was left as it is. "
                "Upload these months to this store first."
            )

    def _months(self, name: str, folder: str) -> dict[str | None, HeldMonth]:
        return {_month_of(blob, name): _described(blob) for blob in self._objects(folder) if _is_ours(blob, name)}

    def _objects(self, folder: str) -> Sequence[Blob]:
        bucket, _, prefix = folder.removeprefix("gs://").partition("/")
        with contextlib.closing(google_cloud.storage_client(self._address.payer)) as client:

            def listed(there: Bucket) -> list[Blob]:
                blobs = client.list_blobs(
                    there,
                    prefix=prefix,
                    fields="items(bucket,name,metadata),nextPageToken",
                    timeout=google_cloud.REQUEST_SECONDS,
                )
                return list(google_cloud.listed(blobs))

            try:
                blobs = paid_if_need_be(client, bucket, self._address.payer, listed)
                return [blob for blob in blobs if blob.name.endswith(".parquet")]
            except answers.NotFound as error:
                raise WarehouseError(f"There is no bucket gs://{bucket}, whose objects a table shows.") from error

    def _wanted(self, table: Table, folder: str) -> bigquery.Table:
        new = bigquery.Table(self._address.table(table.name), schema=tables.schema(table))
        new.description = f"{table.title}: shows the objects of {folder}"
        new.labels = self._jobs.labels
        config = bigquery.ExternalConfig(bigquery.ExternalSourceFormat.PARQUET)
        config.source_uris = [f"{folder}{_ALL}"]
        new.external_data_configuration = config
        return new


@google_cloud.reads_answer()
def folder_of(table: bigquery.Table) -> str:
    """The folder that an external table of ours shows, as gs://bucket/prefix/; "" for any other table."""
    config = table.external_data_configuration
    uris = list(config.source_uris) if config and tables.is_labelled(table) else []
    return uris[0].removesuffix(_ALL) if len(uris) == 1 and uris[0].endswith(f"/{_ALL}") else ""


@google_cloud.reads_answer()
def _is_ours(blob: Blob, table: str) -> bool:
    """Whether an object is one that a run put there for this table."""
    told = blob.metadata or {}
    file = blob.name.rpartition("/")[2]
    month = _month_of(blob, table)
    return (
        google_cloud.MARK in told
        and bool(_ROWS.fullmatch(told.get("rows", "")))
        and file == (f"{table}_{month}.parquet" if month else f"{table}.parquet")
        and (month is None or is_month(month))
    )


def _month_of(blob: Blob, table: str) -> str | None:
    """The month in the name of an object of ours; None if its table has no months."""
    return blob.name.rpartition("/")[2].removeprefix(table).removesuffix(".parquet").removeprefix("_") or None


def _described(blob: Blob) -> HeldMonth:
    """A month as its object tells of it."""
    told = blob.metadata
    rows = int(told["rows"])
    return HeldMonth(told[google_cloud.MARK], rows, rows, told.get("source", ""), file=_url(blob))


def _url(blob: Blob) -> str:
    return f"gs://{blob.bucket.name}/{blob.name}"
