"""psycopg: the published CSV, unpacked, straight into COPY; no Parquet.

`psycopg_copy.py TEMPLATE ADDRESS COLUMNS DATASET MONTH…`
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys

import psycopg
from fetching import fetched
from psycopg import sql

POSTGRES = {"int64": "bigint", "double": "double precision", "string": "text", "timestamp": "timestamp"}

template, address, types, dataset, *months = sys.argv[1:]
columns = {name.lower(): POSTGRES[kind] for name, kind in json.loads(types).items()}
defined = sql.SQL(", ").join(sql.SQL("{} " + kind).format(sql.Identifier(name)) for name, kind in columns.items())
names = sql.SQL(", ").join(map(sql.Identifier, columns))
table = sql.Identifier(f"{dataset}_tripdata")
with psycopg.connect(address) as db:
    db.execute(sql.SQL("CREATE TABLE {} ({}, file_month date)").format(table, defined))
    for month in months:
        day = sql.Literal(f"{month}-01")
        db.execute(sql.SQL("ALTER TABLE {} ALTER file_month SET DEFAULT {}").format(table, day))
        copy_in = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, HEADER)").format(table, names)
        with gzip.open(fetched(template, dataset, month)) as text, db.cursor().copy(copy_in) as copy:
            shutil.copyfileobj(text, copy, 1 << 18)
