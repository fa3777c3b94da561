"""The lesson's script, with types given: chunks of 100,000 rows, `to_sql` into Postgres.

`pandas_postgres.py TEMPLATE ADDRESS COLUMNS DATASET MONTH…`
"""

from __future__ import annotations

import json
import sys

from fetching import fetched
from pandas_chunks_of import chunks_of
from sqlalchemy import create_engine

template, address, types, dataset, *months = sys.argv[1:]
engine = create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
for month in months:
    for chunk in chunks_of(fetched(template, dataset, month), json.loads(types), month):
        chunk.to_sql(f"{dataset}_tripdata", engine, if_exists="append", index=False)
