"""A month of the table beside the object it was loaded from: checksums that do not depend on the order of rows.

The object is loaded, which is free, into a staging table, so that one SQL expression of BigQuery speaks for both sides.
The checksum of a row is a fingerprint of its columns as JSON, in which each has its place, null is not "" and a number
has all of its digits. Sums (of NUMERIC, which do not overflow) take the order out and keep doubled rows in. Two sets of
rows that differ have one sum with a probability of about 2^-64. One query reads both sides once, and that is billed.
"""

from __future__ import annotations

from collections.abc import Sequence

from google.cloud import bigquery

from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.catalog.months import first_day
from taxi_ingest.warehouses import Table
from taxi_ingest.warehouses.bigquery import tables
from taxi_ingest.warehouses.bigquery.address import Address, check_column
from taxi_ingest.warehouses.bigquery.costs import LEAST
from taxi_ingest.warehouses.bigquery.jobs import Jobs, Parameters, Sending, call_options
from taxi_ingest.warehouses.capabilities import Compared

_MIB = 1 << 20

_SUMS = """
SELECT is_file, COUNT(*) AS row_count, {sums}
FROM ({sides})
GROUP BY is_file
"""


def comparison_bytes(jobs: Jobs, address: Address, table: Table, month: str | None) -> int:
    """The most bytes that `compare` is billed for; a dry run tells how many the month has, and is free."""
    side = _side("FALSE", address.quoted(table.name), table, of_month=bool(month))
    return 2 * _most_billed(jobs.bytes_read(_sums([side], table), _parameters(month)))


def _most_billed(bytes_read: int) -> int:
    """The most bytes that are billed for reading a side: a tenth more than foreseen, in whole MiB as BigQuery bills."""
    return max(LEAST, -(-bytes_read * 11 // (10 * _MIB)) * _MIB)


def compare(jobs: Jobs, address: Address, table: Table, month: str | None, file: str, most_bytes: int) -> Compared:
    """The rows of `month`, all rows if it is None, beside those of the object `file`.

    The query is refused, and nothing billed, if it would be billed for more than `most_bytes`.
    """
    dataset = jobs.client.get_dataset(address.dataset_id, **call_options())
    sending = Sending(dataset.location, lambda _: None)  # nothing is lost when it goes on alone: the table expires
    with tables.staging(jobs, address, table) as staging:
        config = tables.load_config(jobs, tables.schema(table), truncate=False)
        jobs.load(file, address.table(staging), config, sending)
        sides = [
            _side("FALSE", address.quoted(table.name), table, of_month=bool(month)),
            _side("TRUE", address.quoted(staging), table, of_month=False),
        ]
        sql = _sums(sides, table)
        rows = jobs.query(sql, _parameters(month), location=sending.location, most_bytes=most_bytes)
    return _compared(rows, table)


def _side(is_file: str, name: str, table: Table, *, of_month: bool) -> str:
    columns = ", ".join(f"`{check_column(column)}`" for column in table.column_names)
    where = f" WHERE {FILE_MONTH} = @month" if of_month else ""
    return f"SELECT {is_file} AS is_file, {columns} FROM {name}{where}"  # noqa: S608 - names are checked


def _sums(sides: Sequence[str], table: Table) -> str:
    """A query for the checksum of all columns together, `of_rows`, and of each column, `of_column_<number>`."""
    columns = [f"`{check_column(column)}`" for column in table.column_names]
    sums = [
        _sum(", ".join(columns), "of_rows"),
        *(_sum(column, f"of_column_{number}") for number, column in enumerate(columns)),
    ]
    return _SUMS.format(sums=", ".join(sums), sides=" UNION ALL ".join(sides))


def _sum(columns: str, name: str) -> str:
    return f"SUM(CAST(FARM_FINGERPRINT(TO_JSON_STRING(STRUCT({columns}))) AS NUMERIC)) AS {name}"


def _parameters(month: str | None) -> Parameters:
    return {"month": ("DATE", first_day(month))} if month else {}


def _compared(rows: Sequence[bigquery.Row], table: Table) -> Compared:
    """What the checksums of both sides say; a side without rows is not among `rows`."""
    sides = {row["is_file"]: row for row in rows}
    in_file, in_table = (_sums_of(sides.get(is_file), table) for is_file in (True, False))
    file_rows, table_rows = (int(sides[is_file]["row_count"]) if is_file in sides else 0 for is_file in (True, False))
    if (file_rows, in_file) == (table_rows, in_table):
        return Compared(True, file_rows, table_rows)
    pairs = zip(table.column_names, in_file[1:], in_table[1:], strict=True)
    return Compared(False, file_rows, table_rows, tuple(name for name, a, b in pairs if a != b))


def _sums_of(row: bigquery.Row | None, table: Table) -> list[object]:
    names = ["of_rows", *(f"of_column_{number}" for number in range(len(table.column_names)))]
    return [row[name] if row is not None else None for name in names]
