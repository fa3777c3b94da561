"""DuckDB's own import of a Parquet file. `duckdb_load.py PARQUET OUTPUT TABLE`."""

from __future__ import annotations

import sys

import duckdb

parquet, output, table = sys.argv[1:]
with duckdb.connect(output) as db:
    db.execute(f"CREATE TABLE {table} AS FROM read_parquet('{parquet}')")
