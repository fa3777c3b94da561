"""Datasets and tables in BigQuery: created when missing, given the columns that the catalog gained since."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from google.api_core import exceptions as answers
from google.cloud import bigquery

from taxi_ingest import google_cloud
from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.errors import WarehouseError
from taxi_ingest.google_cloud import reason_of
from taxi_ingest.warehouses import Table, column_comment
from taxi_ingest.warehouses.bigquery import expiry
from taxi_ingest.warehouses.bigquery.address import LOADS, Address, check_column
from taxi_ingest.warehouses.bigquery.jobs import SIGN, Jobs, call_options
from taxi_ingest.warehouses.bigquery.locations import BucketLocation, bucket_location, location_for
from taxi_ingest.warehouses.ownership import Found, refuse_foreign

TYPES = {"int64": "INT64", "double": "FLOAT64", "string": "STRING", "timestamp": "DATETIME"}
"""Canonical type → BigQuery's; DATETIME, like the canonical type, has no time zone."""

_SQL_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
"""What the API calls a type → what SQL does, where they differ."""

_KINDS = {"VIEW": "a view", "MATERIALIZED_VIEW": "a materialized view", "EXTERNAL": "an external table"}

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


def load_config(jobs: Jobs, fields: Sequence[bigquery.SchemaField], *, truncate: bool) -> bigquery.LoadJobConfig:
    """A load of Parquet with this schema into an existing table: over its rows, or only if it is empty."""
    return bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.PARQUET,
        schema=fields,
        write_disposition="WRITE_TRUNCATE" if truncate else "WRITE_EMPTY",
        create_disposition="CREATE_NEVER",
        labels=jobs.labels,
    )


def ensure_dataset(jobs: Jobs, address: Address, bucket: str) -> bigquery.Dataset:
    """The dataset; if missing, it is created in the location of the address, else in the bucket's."""
    try:
        found = jobs.client.get_dataset(address.dataset_id, **call_options())
    except answers.NotFound:
        new = bigquery.Dataset(address.dataset_id)
    else:
        check_location(address, found)
        return found
    new.location = address.location or location_of_new(address, bucket, bucket_location(bucket, address.payer))
    new.description = "New York's taxi trips, loaded by taxi-ingest"
    new.labels = jobs.labels
    try:
        return jobs.client.create_dataset(new, exists_ok=True, **call_options())
    except answers.Forbidden as error:
        if reason_of(error) != "accessDenied":
            raise
        raise WarehouseError(
            f"There is no dataset {address}, and these credentials may not create it. Let an owner of the project run: "
            f"bq mk --location={new.location} --dataset {address}"
        ) from error


def check_location(address: Address, dataset: bigquery.Dataset) -> None:
    """Raise WarehouseError for a dataset that is somewhere else than the address asks for."""
    there = str(dataset.location or "")
    if address.location and there and there.upper() != address.location.upper():
        raise WarehouseError(
            f"The dataset {address} is in {there}, not in {address.location} as the warehouse's URL asks for, and a "
            "dataset cannot move. Leave ?location= out, or name another dataset."
        )


def ensure_table(
    jobs: Jobs, address: Address, table: Table, month: str | None, dataset: bigquery.Dataset
) -> list[bigquery.SchemaField]:
    """Create the table and the table of loads if missing; add columns that the catalog gained since.

    Returns the columns that the table's owner added to it. Raises WarehouseError, before anything is changed, for a
    table or view of one of these names that is not ours, and for a table that is partitioned otherwise or that BigQuery
    will drop; also for one that would drop `month` at once.
    """
    loads, existing = usable_tables(jobs, address, table, dataset)
    wanted = _described(jobs, address, table)
    if loads is None:
        jobs.client.create_table(_loads(jobs, address), exists_ok=True, **call_options())
    if existing is None:
        existing = jobs.client.create_table(wanted, exists_ok=True, **call_options())
    expiry.refuse_month(address, existing, month, dataset)
    names = {field.name.lower() for field in existing.schema}
    missing = [field for field in wanted.schema if field.name.lower() not in names]
    ours = {field.name.lower() for field in wanted.schema}
    of_the_owner = [field for field in existing.schema if field.name.lower() not in ours]
    if missing:
        existing.schema = [*existing.schema, *missing]
        jobs.client.update_table(existing, ["schema"], **call_options())
    return of_the_owner


def usable_tables(
    jobs: Jobs, address: Address, table: Table, dataset: bigquery.Dataset
) -> tuple[bigquery.Table | None, bigquery.Table | None]:
    """The table of loads and `table` as they are there, None for one that is not. Changes nothing.

    Raises WarehouseError for one that a load must leave alone.
    """
    loads, existing = get(jobs, address, LOADS), get(jobs, address, table.name)
    if loads is not None:
        refuse_foreign(found(address, loads, is_known=_is_ours(loads)), types(LOADS_SCHEMA))
    if existing is not None:
        _refuse_external(address, existing)
        is_known = is_labelled(existing) or (loads is not None and _is_recorded(jobs, address, table.name))
        refuse_foreign(found(address, existing, is_known=is_known), types(schema(table)))
        if table.monthly:
            _refuse_other_partitions(address, existing)
    for there, partitioned in ((loads, True), (existing, table.monthly)):
        if there is None:
            expiry.refuse_new(address, dataset, partitioned=partitioned)
        else:
            expiry.refuse_existing(address, there)
    return loads, existing


def are_loads_ours(jobs: Jobs, address: Address) -> bool:
    """Whether the dataset's table of loads, if there is one, is ours."""
    loads = get(jobs, address, LOADS)
    return loads is None or _is_ours(loads)


def _is_ours(loads: bigquery.Table) -> bool:
    """Whether a table called as our table of loads is it: it has all of its columns."""
    return types(LOADS_SCHEMA).items() <= types(loads.schema).items()


def get(jobs: Jobs, address: Address, name: str) -> bigquery.Table | None:
    """The table of this name, if there is one."""
    try:
        return jobs.client.get_table(address.table(name), **call_options())
    except answers.NotFound:
        return None


@google_cloud.reads_answer()
def found(address: Address, table: bigquery.Table, *, is_known: bool, kind: str = "TABLE") -> Found:
    """A table as it was found; it is plain if it is of this kind."""
    is_plain = (table.table_type or "TABLE") == kind
    return Found(
        where=f"{address} has {_KINDS.get(table.table_type, 'a table')} {table.table_id}",
        types={name.lower(): kind for name, kind in types(table.schema).items()},
        is_plain=is_plain,
        is_known=is_known,
        is_signed=is_labelled(table),
        remedy="Rename or drop it, or name another dataset: --warehouse bigquery://PROJECT/DATASET.",
    )


@google_cloud.reads_answer()
def types(fields: Sequence[bigquery.SchemaField]) -> dict[str, str]:
    """The types of columns in the words of SQL, by name."""
    return {
        str(field.name): ("REPEATED " if field.mode == "REPEATED" else "") + _SQL_NAMES.get(kind, kind)
        for field in fields
        for kind in [field.field_type.upper()]
    }


@google_cloud.reads_answer()
def is_labelled(table: bigquery.Table) -> bool:
    """Whether a table bears the label that we give to tables."""
    return SIGN.items() <= (table.labels or {}).items()


def _is_recorded(jobs: Jobs, address: Address, name: str) -> bool:
    """Whether we have loaded into a table: one that its owner made anew has lost its label."""
    sql = f"SELECT 1 AS one FROM {address.quoted(LOADS)} WHERE table_name = @table LIMIT 1"  # noqa: S608
    return bool(jobs.query(sql, {"table": ("STRING", name)}))


def _refuse_external(address: Address, table: bigquery.Table) -> None:
    if table.table_type == "EXTERNAL" and is_labelled(table):
        raise WarehouseError(
            f"{address}.{table.table_id} shows the store's objects (load.method = external), and holds no rows itself. "
            f"To copy rows into a table, drop it first: bq rm -t {address}.{table.table_id}"
        )


def _refuse_other_partitions(address: Address, table: bigquery.Table) -> None:
    if address.method == "partition" and not is_partitioned_by_file_month(table):
        raise WarehouseError(
            f"The table {address}.{table.table_id} is not partitioned by MONTH({FILE_MONTH}). "
            f"Use ?method=merge, or rename it and run again."
        )


@google_cloud.reads_answer()
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
    new.labels = jobs.labels
    jobs.client.create_table(new, **call_options())
    try:
        yield name
    finally:
        # a failure here must not hide the error of the load; BigQuery drops the table in a day
        with contextlib.suppress(answers.GoogleAPIError, OSError):
            jobs.client.delete_table(address.table(name), not_found_ok=True, **call_options())


def _described(jobs: Jobs, address: Address, table: Table) -> bigquery.Table:
    new = bigquery.Table(address.table(table.name), schema=schema(table))
    new.description = table.title
    new.labels = jobs.labels
    if table.monthly:
        new.time_partitioning = bigquery.TimePartitioning(type_="MONTH", field=FILE_MONTH)
    if table.cluster_by:
        new.clustering_fields = [table.cluster_by]
    return new


def _loads(jobs: Jobs, address: Address) -> bigquery.Table:
    new = bigquery.Table(address.table(LOADS), schema=LOADS_SCHEMA)
    # a table without partitions takes 5 changes in 10 seconds and 1,500 a day, one with them 50 and 30,000:
    # https://docs.cloud.google.com/bigquery/quotas#partitioned_tables
    new.time_partitioning = bigquery.TimePartitioning(type_="MONTH", field="at")
    new.description = "Which months were loaded, and from which rows; written by taxi-ingest"
    new.labels = jobs.labels
    return new


def location_of_new(address: Address, bucket: str, where: BucketLocation) -> str:
    """Where a dataset is created that loads from `bucket`. Raises WarehouseError if no location is known for it."""
    location = address.location or location_for(where)
    if not location:
        raise WarehouseError(
            f"The bucket gs://{bucket} is in {where}, where BigQuery has no datasets. "
            f"Name a location in the warehouse's URL: ?location=US"
        )
    return location
