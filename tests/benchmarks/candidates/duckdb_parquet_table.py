"""DuckDB makes both: fetch, Parquet from each CSV, a table from the Parquet.

`duckdb_parquet_table.py TEMPLATE OUTPUT COLUMNS DATASET MONTH…`
"""

from __future__ import annotations

import json
import sys

import duckdb
from columns import struct
from fetching import fetched

template, output, types, dataset, *months = sys.argv[1:]
with duckdb.connect(output) as db:
    for month in months:
        csv = fetched(template, dataset, month)
        db.execute(
            f"COPY (SELECT *, DATE '{month}-01' AS file_month FROM read_csv('{csv}', header = true, delim = ',', "
            f"columns = {struct(json.loads(types))})) TO '{dataset}_{month}.parquet' "
            "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)"
        )
    db.execute(f"CREATE TABLE {dataset}_tripdata AS FROM read_parquet('{dataset}_*.parquet')")
