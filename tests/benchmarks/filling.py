"""Loads months of constant rows into a DuckDB warehouse, through its contract: `filling.py FILE MONTHS ROWS`.

Constant columns take next to no disk; `file_month` is as constant within a month as it always is.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import duckdb

from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.place import Place
from taxi_ingest.warehouses import open_warehouse, table_of
from taxi_ingest.warehouses.duckdb.sql import SQL_TYPES

FIRST_YEAR = 2009


def fill(database: str, months: int, rows: int) -> None:
    """Add so many months of so many rows to the table of yellow trips, from January 2009 on."""
    known = dataset_named("yellow")
    table = table_of(known)
    warehouse = open_warehouse(Place.parse(f"duckdb:{database}"))
    columns = ", ".join(f'NULL::{SQL_TYPES[column.type]} AS "{column.name}"' for column in known.columns)
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "month.parquet")
        for number in range(months):
            month = f"{FIRST_YEAR + number // 12}-{number % 12 + 1:02d}"
            query = f"SELECT {columns}, DATE '{month}-01' AS file_month FROM range({rows})"
            duckdb.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet)")
            warehouse.replace(table, month, file=file, rows=rows, mark=f"filled {month}", source="filled")


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
