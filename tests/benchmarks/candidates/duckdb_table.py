"""DuckDB alone: fetch, then a table straight from the CSV. `duckdb_table.py TEMPLATE OUTPUT COLUMNS DATASET MONTH…`.

One `read_csv` of all files, which reads two at a time; a `UNION ALL` of them took a tenth more processor time.
"""

from __future__ import annotations

import json
import sys

import duckdb
from columns import struct
from fetching import fetched

template, output, types, dataset, *months = sys.argv[1:]
files = [str(fetched(template, dataset, month)) for month in months]
file_month = f"DATE '{months[0]}-01'"
if len(months) > 1:
    file_month = "(regexp_extract(filename, '[0-9]{4}-[0-9]{2}') || '-01')::DATE"
with duckdb.connect(output) as db:
    db.execute(
        f"CREATE TABLE {dataset}_tripdata AS SELECT * EXCLUDE (filename), {file_month} AS file_month "
        f"FROM read_csv({files}, header = true, delim = ',', filename = true, columns = {struct(json.loads(types))})"
    )
