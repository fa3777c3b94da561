"""Tables and partitions that BigQuery drops by itself: told and refused, with the statement that stops it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from google.cloud import bigquery

from taxi_ingest.catalog.months import last_day
from taxi_ingest.errors import WarehouseError
from taxi_ingest.warehouses.bigquery.address import Address

_DAY_MS = 86_400_000
_SANDBOX = "Turn billing on if this is a sandbox, then run in BigQuery:"


def expiries(address: Address, dataset: bigquery.Dataset) -> Iterator[str]:
    """A sentence, with the remedy, about each default expiration that new tables of the dataset take over."""
    if dataset.default_partition_expiration_ms:
        yield _partitions_expire(dataset.default_partition_expiration_ms, f"The dataset {address}", _stop(dataset))
    if dataset.default_table_expiration_ms:
        yield _tables_expire(address, dataset)


def refuse_new(address: Address, dataset: bigquery.Dataset, *, partitioned: bool) -> None:
    """Raise WarehouseError if a new table of the dataset would be dropped, with all of its months, by default.

    Where partitions expire by default, a table with partitions takes over that alone.
    """
    if dataset.default_table_expiration_ms and not (partitioned and dataset.default_partition_expiration_ms):
        raise WarehouseError(_tables_expire(address, dataset))


def refuse_existing(address: Address, table: bigquery.Table) -> None:
    """Raise WarehouseError if a table will be dropped with all that is in it."""
    if table.expires:
        raise WarehouseError(
            f"BigQuery drops the table {address}.{table.table_id} with all of its months at {table.expires:%F %H:%M} "
            f"UTC. {_SANDBOX} ALTER TABLE {address.quoted(table.table_id)} SET OPTIONS (expiration_timestamp = NULL)"
        )


def refuse_month(address: Address, table: bigquery.Table, month: str | None, dataset: bigquery.Dataset) -> None:
    """Raise WarehouseError if this month would be dropped as soon as it is loaded."""
    expiration_ms = table.time_partitioning.expiration_ms if table.time_partitioning else None
    if not month or not expiration_ms:
        return
    if datetime.now(UTC).date() - last_day(month) >= timedelta(milliseconds=float(expiration_ms)):
        statement = f"ALTER TABLE {address.quoted(table.table_id)} SET OPTIONS (partition_expiration_days = NULL)"
        sentence = _partitions_expire(expiration_ms, f"The table {address}.{table.table_id}", statement)
        raise WarehouseError(" ".join([sentence, *expiries(address, dataset)]))


def _partitions_expire(milliseconds: float, owner: str, statement: str) -> str:
    days = float(milliseconds) / _DAY_MS
    return (
        f"{owner} drops partitions {days:g} days after their month, so older months would disappear at once. "
        f"{_SANDBOX} {statement}"
    )


def _tables_expire(address: Address, dataset: bigquery.Dataset) -> str:
    days = float(dataset.default_table_expiration_ms) / _DAY_MS
    return (
        f"The dataset {address} drops each new table {days:g} days after it is made, with all of its months. "
        f"{_SANDBOX} {_stop(dataset)}"
    )


def _stop(dataset: bigquery.Dataset) -> str:
    """The statement that lets new tables of the dataset stay."""
    defaults = {
        "default_table_expiration_days": dataset.default_table_expiration_ms,
        "default_partition_expiration_days": dataset.default_partition_expiration_ms,
    }
    options = ", ".join(f"{name} = NULL" for name, milliseconds in defaults.items() if milliseconds)
    return f"ALTER SCHEMA `{dataset.project}.{dataset.dataset_id}` SET OPTIONS ({options})"
