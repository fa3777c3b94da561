"""DuckDB's COPY, from CSV or Parquet. `duckdb_copy.py SOURCE OUTPUT DATASET MONTH`."""

from __future__ import annotations

import sys

import duckdb
from columns import columns

source, output, dataset, month = sys.argv[1:]
TYPES = {"int64": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "timestamp": "TIMESTAMP"}
if source.endswith(".parquet"):
    types = columns(dataset, month, "parquet")
    picked = ", ".join(f'"{name}"::{TYPES[kind]} AS "{name}"' for name, kind in types.items())
    query = f"SELECT {picked} FROM read_parquet('{source}')"
else:
    types = columns(dataset, month, "csv")
    struct = ", ".join(f"'{name}': '{TYPES[kind]}'" for name, kind in types.items())
    query = f"SELECT * FROM read_csv('{source}', header = true, delim = ',', columns = {{{struct}}})"
duckdb.execute(f"COPY ({query}) TO '{output}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)")
