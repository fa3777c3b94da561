"""dlt, as its documentation loads CSV files fast: `filesystem`, `read_csv_duckdb` with Arrow, DuckDB.

`dlt_duckdb.py TEMPLATE OUTPUT COLUMNS DATASET MONTH…`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import dlt
from columns import DUCKDB
from dlt.sources.filesystem import filesystem, read_csv_duckdb
from fetching import fetched

template, output, types, dataset, *months = sys.argv[1:]
for month in months:
    fetched(template, dataset, month)
files = filesystem(bucket_url=Path.cwd().as_uri(), file_glob=f"{dataset}_*.csv.gz")
dtypes = {name: DUCKDB[kind] for name, kind in json.loads(types).items()}
rows = files | read_csv_duckdb(chunk_size=100_000, use_pyarrow=True, header=True, dtype=dtypes)
pipeline = dlt.pipeline(
    "taxi", pipelines_dir="pipelines", destination=dlt.destinations.duckdb(output), dataset_name="trips"
)
pipeline.run(rows.with_name(f"{dataset}_tripdata"), write_disposition="replace")
