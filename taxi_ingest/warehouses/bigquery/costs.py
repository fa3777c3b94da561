"""What a load costs in BigQuery, in bytes: stored, and billed for questions and for DML. Load jobs are free.

From https://docs.cloud.google.com/bigquery/docs/estimate-costs: a value takes 8 bytes, a text 2 and its characters; a
question is billed for the columns it reads, and for 10 MB at least.
"""

from __future__ import annotations

from taxi_ingest.warehouses import Table
from taxi_ingest.warehouses.capabilities import Bill

_VALUE, _TEXT = 8, 6  # bytes; most texts here are codes of a letter, and base numbers of six
LEAST = 10 << 20
"""Bytes that are billed at least for each table that a query reads."""


def bill_of(table: Table, rows: int, method: str) -> Bill:
    """What a load of `rows` rows into a month of `table` costs at most, by the method of an address."""
    if method == "external":
        return Bill(stored=0, billed=LEAST)
    row = sum(_TEXT if column.type == "string" else _VALUE for column in table.columns) + _VALUE * table.monthly
    newest, counted = LEAST, max(LEAST, _VALUE * rows * table.monthly)
    # the statement reads the staging table, and the month that it replaces
    merged = 2 * max(LEAST, row * rows) if method == "merge" and table.monthly else 0
    return Bill(stored=row * rows, billed=newest + counted + merged)
