"""pandas in chunks of 100,000 rows, appended to a DuckDB table.

`pandas_duckdb.py TEMPLATE OUTPUT COLUMNS DATASET MONTH…`
"""

from __future__ import annotations

import json
import sys

import duckdb
from fetching import fetched
from pandas_chunks_of import chunks_of

template, output, types, dataset, *months = sys.argv[1:]
with duckdb.connect(output) as db:
    for month in months:
        for chunk in chunks_of(fetched(template, dataset, month), json.loads(types), month):
            db.register("chunk", chunk)
            db.execute(f"CREATE TABLE IF NOT EXISTS {dataset}_tripdata AS FROM chunk LIMIT 0")
            db.execute(f"INSERT INTO {dataset}_tripdata FROM chunk")
