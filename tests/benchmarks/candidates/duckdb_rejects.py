"""DuckDB's COPY from a CSV with bad lines, which it stores. `duckdb_rejects.py SOURCE OUTPUT DATASET MONTH`."""

from __future__ import annotations

import sys

import duckdb
from columns import columns, struct

source, output, dataset, month = sys.argv[1:]
types = struct(columns(dataset, month, "csv"))
reading = f"read_csv('{source}', header = true, delim = ',', store_rejects = true, columns = {types})"
duckdb.execute(f"COPY (SELECT * FROM {reading}) TO '{output}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)")
duckdb.execute(f"COPY reject_errors TO '{output}.rejects.csv'")
