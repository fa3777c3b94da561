"""Datasets and tables in BigQuery: created when missing, given the columns that the catalog gained since."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from google.api_core import exceptions as answers
from google.cloud import bigquery

from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.catalog.months import last_day
from taxi_ingest.errors import WarehouseError
from taxi_ingest.google_cloud import reason_of
from taxi_ingest.warehouses import Table, column_comment
from taxi_ingest.warehouses.bigquery.address import LOADS, Address, check_column
from taxi_ingest.warehouses.bigquery.jobs import LABELS, Jobs, call_options
from taxi_ingest.warehouses.bigquery.locations import bucket_location, location_for

TYPES = {"int64": "INT64", "double": "FLOAT64", "string": "STRING", "timestamp": "DATETIME"}
"""Canonical type → BigQuery's; DATETIME, like the canonical type, has no time zone."""

STAGING_HOURS = 24
"""When BigQuery drops a staging table that a killed run left behind."""

LOADS_SCHEMA = tuple(
    bigquery.SchemaField(name, kind, description=meaning)
    for name, kind, meaning in (
        ("table_name", "STRING", "the table loaded into"),
        ("file_month", "DATE", "the month replaced; null for a table without months"),
        ("mark", "STRING", "identity of the rows: a hash of the published file and how it was read"),
        ("rows", "INT64", "rows the file holds"),
        ("source", "STRING", "who published the file"),
        ("state", "STRING", "started or done; a month counts when its newest row is done"),
        ("at", "TIMESTAMP", "when this row was written"),
        ("load", "STRING", "random id of the load"),
    )
)


def schema(table: Table) -> list[bigquery.SchemaField]:
    """The columns of `table`, all nullable, with meaning and unit as description."""
    fields = [
        bigquery.SchemaField(check_column(column.name), TYPES[column.type], description=column_comment(column))
        for column in table.columns
    ]
    month = bigquery.SchemaField(FILE_MONTH, "DATE", description="First day of the file's month; the partition's key.")
    return [*fields, month] if table.monthly else fields


def load_config(fields: Sequence[bigquery.SchemaField], *, truncate: bool) -> bigquery.LoadJobConfig:
    """A load of Parquet with this schema into an existing table: over its rows, or only if it is empty."""
    return bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.PARQUET,
        schema=fields,
        write_disposition="WRITE_TRUNCATE" if truncate else "WRITE_EMPTY",
        create_disposition="CREATE_NEVER",
        labels=LABELS,
    )


def ensure_dataset(jobs: Jobs, address: Address, bucket: str) -> bigquery.Dataset:
    """The dataset; if missing, it is created in the location of the address, else in the bucket's."""
    try:
        return jobs.client.get_dataset(address.dataset_id, **call_options())
    except answers.NotFound:
        new = bigquery.Dataset(address.dataset_id)
    new.location = address.location or _location_beside(bucket, address)
    new.description = "New York's taxi trips, loaded by taxi-ingest"
    new.labels = LABELS
    try:
        return jobs.client.create_dataset(new, exists_ok=True, **call_options())
    except answers.Forbidden as error:
        if reason_of(error) != "accessDenied":
            raise
        raise WarehouseError(
            f"There is no dataset {address}, and these credentials may not create it. Let an owner of the project run: "
            f"bq mk --location={new.location} --dataset {address}"
        ) from error


def ensure_table(jobs: Jobs, address: Address, table: Table, month: str | None, dataset: bigquery.Dataset) -> None:
    """Create the table and the table of loads if missing; add columns that the catalog gained since.

    Raises WarehouseError for a table that is partitioned otherwise, or that would drop `month` at once.
    """
    _get_or_create(jobs, _loads(address))
    wanted = _described(address, table)
    existing = _get_or_create(jobs, wanted)
    if month and address.method == "partition" and not is_partitioned_by_file_month(existing):
        raise WarehouseError(
            f"The table {address}.{table.name} is not partitioned by MONTH({FILE_MONTH}). "
            f"Use ?method=merge, or rename it and run again."
        )
    _refuse_expiry(address, table.name, month, existing, dataset)
    names = {field.name.lower() for field in existing.schema}
    missing = [field for field in wanted.schema if field.name.lower() not in names]
    if missing:
        existing.schema = [*existing.schema, *missing]
        jobs.client.update_table(existing, ["schema"], **call_options())


def is_partitioned_by_file_month(table: bigquery.Table) -> bool:
    """Whether a table is partitioned as ours are."""
    partitioning = table.time_partitioning
    return bool(partitioning) and partitioning.type_ == "MONTH" and partitioning.field == FILE_MONTH


@contextlib.contextmanager
def staging(jobs: Jobs, address: Address, table: Table) -> Iterator[str]:
    """A temporary table with the columns of `table`, dropped at the end; yields its name."""
    name = f"_staging_{table.name}_{uuid.uuid4().hex}"
    new = bigquery.Table(address.table(name), schema=schema(table))
    new.expires = datetime.now(UTC) + timedelta(hours=STAGING_HOURS)
    new.labels = LABELS
    jobs.client.create_table(new, **call_options())
    try:
        yield name
    finally:
        # a failure here must not hide the error of the load; BigQuery drops the table in a day
        with contextlib.suppress(answers.GoogleAPIError, OSError):
            jobs.client.delete_table(address.table(name), not_found_ok=True, **call_options())


def dataset_expiry(address: Address, dataset: bigquery.Dataset) -> str:
    """A sentence about the dataset's default partition expiration, with the remedy; "" when it has none."""
    statement = f"ALTER SCHEMA `{address.dataset_id}` SET OPTIONS (default_partition_expiration_days = NULL)"
    return _expiry_sentence(dataset.default_partition_expiration_ms, f"The dataset {address}", statement)


def _expiry_sentence(milliseconds: float | None, owner: str, statement: str) -> str:
    if not milliseconds:
        return ""
    days = float(milliseconds) / 86_400_000
    return (
        f"{owner} drops partitions {days:g} days after their month, so older months would disappear at once. "
        f"Turn billing on if this is a sandbox, then run in BigQuery: {statement}"
    )


def _refuse_expiry(
    address: Address, name: str, month: str | None, table: bigquery.Table, dataset: bigquery.Dataset
) -> None:
    """Raise WarehouseError if this month would be dropped as soon as it is loaded."""
    expiration_ms = table.time_partitioning.expiration_ms if table.time_partitioning else None
    if not month or not expiration_ms:
        return
    if datetime.now(UTC).date() - last_day(month) >= timedelta(milliseconds=float(expiration_ms)):
        statement = f"ALTER TABLE {address.quoted(name)} SET OPTIONS (partition_expiration_days = NULL)"
        sentence = _expiry_sentence(expiration_ms, f"The table {address}.{name}", statement)
        raise WarehouseError(f"{sentence} {dataset_expiry(address, dataset)}".rstrip())


def _described(address: Address, table: Table) -> bigquery.Table:
    new = bigquery.Table(address.table(table.name), schema=schema(table))
    new.description = table.title
    new.labels = LABELS
    if table.monthly:
        new.time_partitioning = bigquery.TimePartitioning(type_="MONTH", field=FILE_MONTH)
    if table.cluster_by:
        new.clustering_fields = [table.cluster_by]
    return new


def _loads(address: Address) -> bigquery.Table:
    new = bigquery.Table(address.table(LOADS), schema=LOADS_SCHEMA)
    new.description = "Which months were loaded, and from which rows; written by taxi-ingest"
    new.labels = LABELS
    return new


def _get_or_create(jobs: Jobs, wanted: bigquery.Table) -> bigquery.Table:
    try:
        return jobs.client.get_table(wanted.reference, **call_options())
    except answers.NotFound:
        return jobs.client.create_table(wanted, exists_ok=True, **call_options())


def _location_beside(bucket: str, address: Address) -> str:
    where = bucket_location(bucket, address.project)
    location = location_for(where)
    if not location:
        raise WarehouseError(
            f"The bucket gs://{bucket} is in {where}, where BigQuery has no datasets. "
            f"Name a location in the warehouse's URL: ?location=US"
        )
    return location
