"""DuckDB's COPY, from CSV or Parquet. `duckdb_copy.py SOURCE OUTPUT DATASET MONTH`."""

from __future__ import annotations

import sys

import duckdb
from columns import DUCKDB, columns, struct

source, output, dataset, month = sys.argv[1:]
if source.endswith(".parquet"):
    types = columns(dataset, month, "parquet")
    picked = ", ".join(f'"{name}"::{DUCKDB[kind]} AS "{name}"' for name, kind in types.items())
    query = f"SELECT {picked} FROM read_parquet('{source}')"
else:
    csv_types = struct(columns(dataset, month, "csv"))
    query = f"SELECT * FROM read_csv('{source}', header = true, delim = ',', columns = {csv_types})"
duckdb.execute(f"COPY ({query}) TO '{output}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)")
