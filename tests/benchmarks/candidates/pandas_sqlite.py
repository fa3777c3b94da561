"""The lesson's script, with types given and SQLite for a server: chunks of 100,000 rows, `to_sql`.

`pandas_sqlite.py TEMPLATE OUTPUT COLUMNS DATASET MONTH…`
"""

from __future__ import annotations

import json
import sqlite3
import sys

from fetching import fetched
from pandas_chunks_of import chunks_of

template, output, types, dataset, *months = sys.argv[1:]
with sqlite3.connect(output) as db:
    for month in months:
        for chunk in chunks_of(fetched(template, dataset, month), json.loads(types), month):
            chunk.to_sql(f"{dataset}_tripdata", db, if_exists="append", index=False)
