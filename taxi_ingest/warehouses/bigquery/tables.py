"""Tables in BigQuery as they are to look: made when missing, given the columns that the catalog gained since."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from google.api_core import exceptions as answers
from google.cloud import bigquery

from taxi_ingest.catalog import FILE_MONTH, Column
from taxi_ingest.catalog.months import last_day
from taxi_ingest.errors import WarehouseError
from taxi_ingest.warehouses import Table
from taxi_ingest.warehouses.bigquery.address import LOADS, Address, check_column, location_for
from taxi_ingest.warehouses.bigquery.errors import reason_of
from taxi_ingest.warehouses.bigquery.jobs import LABELS, Jobs, bucket_location, calls

TYPES = {"int64": "INT64", "double": "FLOAT64", "string": "STRING", "timestamp": "DATETIME"}
"""Canonical type → BigQuery's; `DATETIME` has no zone, as the clocks on New York's walls."""

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


def schema(table: Table) -> list[Any]:
    """The columns of `table`, all nullable, with meaning and unit as description."""
    fields = [
        bigquery.SchemaField(check_column(column.name), TYPES[column.type], description=_meaning(column))
        for column in table.columns
    ]
    month = bigquery.SchemaField(FILE_MONTH, "DATE", description="First day of the file's month; the partition's key.")
    return [*fields, month] if table.monthly else fields


def dataset(jobs: Jobs, place: Address, bucket: str) -> Any:
    """The dataset, made in the bucket's location (or the one asked for) when it is missing."""
    name = f"{place.project}.{place.dataset}"
    try:
        return jobs.client.get_dataset(name, **calls())
    except answers.NotFound:
        new = bigquery.Dataset(name)
    new.location = place.location or _location_of(bucket, place)
    new.description = "New York's taxi trips, loaded by taxi-ingest"
    new.labels = LABELS
    try:
        return jobs.client.create_dataset(new, exists_ok=True, **calls())
    except answers.Forbidden as error:
        if reason_of(error) != "accessDenied":
            raise
        raise WarehouseError(
            f"There is no dataset {place}, and these credentials may not make it. Let an owner of the project run: "
            f"bq mk --location={new.location} --dataset {place}"
        ) from error


def prepare(jobs: Jobs, place: Address, table: Table, month: str | None, into: Any) -> None:
    """Make the table and the record of loads when they are missing; add columns that the catalog gained since."""
    _made(jobs, _loads(place))
    wanted = _described(place, table)
    there = _made(jobs, wanted)
    if month and place.method == "partition" and not by_file_month(there):
        raise WarehouseError(
            f"The table {place}.{table.name} is not partitioned by MONTH({FILE_MONTH}). "
            f"Use ?method=merge, or rename it and run again."
        )
    _refuse_expiry(place, table.name, month, there, into)
    names = {field.name.lower() for field in there.schema}
    gained = [field for field in wanted.schema if field.name.lower() not in names]
    if gained:
        there.schema = [*there.schema, *gained]
        jobs.client.update_table(there, ["schema"], **calls())


def by_file_month(table: Any) -> bool:
    """Whether a table is partitioned as ours are."""
    by = table.time_partitioning
    return bool(by) and by.type_ == "MONTH" and by.field == FILE_MONTH


@contextlib.contextmanager
def staging(jobs: Jobs, place: Address, table: Table) -> Iterator[str]:
    """A table of `table`'s columns with a name of its own, gone at the end; yields the name."""
    name = f"_staging_{table.name}_{uuid.uuid4().hex}"
    new = bigquery.Table(place.table(name), schema=schema(table))
    new.expires = datetime.now(UTC) + timedelta(hours=STAGING_HOURS)
    new.labels = LABELS
    jobs.client.create_table(new, **calls())
    try:
        yield name
    finally:
        # what cannot be dropped now, BigQuery drops in a day; the error of the load is the one to tell
        with contextlib.suppress(answers.GoogleAPIError, OSError):
            jobs.client.delete_table(place.table(name), not_found_ok=True, **calls())


def expiry_sentence(milliseconds: float | None, of: str, statement: str) -> str:
    """What to say of an expiry of partitions, "" when there is none."""
    if not milliseconds:
        return ""
    days = float(milliseconds) / 86_400_000
    return (
        f"{of} drops partitions {days:g} days after their month, so older months would be gone at once. "
        f"Turn billing on if this is a sandbox, then run in BigQuery: {statement}"
    )


def dataset_expiry(place: Address, found: Any) -> str:
    """The sentence about a dataset's default expiry of partitions, "" when it has none."""
    statement = f"ALTER SCHEMA `{place.project}.{place.dataset}` SET OPTIONS (default_partition_expiration_days = NULL)"
    return expiry_sentence(found.default_partition_expiration_ms, f"The dataset {place}", statement)


def _refuse_expiry(place: Address, name: str, month: str | None, there: Any, into: Any) -> None:
    """Raise WarehouseError when this month would be dropped as soon as it is loaded."""
    own = there.time_partitioning.expiration_ms if there.time_partitioning else None
    if not month or not own:
        return
    if datetime.now(UTC).date() - last_day(month) >= timedelta(milliseconds=float(own)):
        statement = f"ALTER TABLE {place.quoted(name)} SET OPTIONS (partition_expiration_days = NULL)"
        sentence = expiry_sentence(own, f"The table {place}.{name}", statement)
        raise WarehouseError(f"{sentence} {dataset_expiry(place, into)}".rstrip())


def _described(place: Address, table: Table) -> Any:
    new = bigquery.Table(place.table(table.name), schema=schema(table))
    new.description = table.title
    new.labels = LABELS
    if table.monthly:
        new.time_partitioning = bigquery.TimePartitioning(type_="MONTH", field=FILE_MONTH)
    if table.cluster_by:
        new.clustering_fields = [table.cluster_by]
    return new


def _loads(place: Address) -> Any:
    new = bigquery.Table(place.table(LOADS), schema=LOADS_SCHEMA)
    new.description = "Which months were loaded, and from which rows; written by taxi-ingest"
    new.labels = LABELS
    return new


def _made(jobs: Jobs, wanted: Any) -> Any:
    try:
        return jobs.client.get_table(wanted.reference, **calls())
    except answers.NotFound:
        return jobs.client.create_table(wanted, exists_ok=True, **calls())


def _location_of(bucket: str, place: Address) -> str:
    where = bucket_location(bucket, place.project)
    fitting = location_for(where)
    if not fitting:
        raise WarehouseError(
            f"The bucket gs://{bucket} is in {where}, where BigQuery has no datasets. "
            f"Name a location in the warehouse's URL: ?location=US"
        )
    return fitting


def _meaning(column: Column) -> str:
    return f"{column.meaning} [{column.unit}]" if column.unit else column.meaning


def load_config(fields: Sequence[Any], *, truncate: bool) -> Any:
    """A load of Parquet with this schema into a table that is there: over it, or only when it is empty."""
    return bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.PARQUET,
        schema=fields,
        write_disposition="WRITE_TRUNCATE" if truncate else "WRITE_EMPTY",
        create_disposition="CREATE_NEVER",
        labels=LABELS,
    )
