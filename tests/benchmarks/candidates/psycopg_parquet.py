"""pyarrow and psycopg: a Parquet file into COPY as CSV. `psycopg_parquet.py PARQUET ADDRESS TABLE`."""

from __future__ import annotations

import io
import sys

import psycopg
import pyarrow.parquet as pq
from psycopg import sql
from pyarrow import csv

TYPES = {"int64": "bigint", "double": "double precision", "string": "text", "timestamp[us]": "timestamp"}

path, address, name = sys.argv[1:]
without_header = csv.WriteOptions(include_header=False)
with psycopg.connect(address) as db, pq.ParquetFile(path) as parquet:
    columns = [(field.name.lower(), TYPES.get(str(field.type), "date")) for field in parquet.schema_arrow]
    defined = sql.SQL(", ").join(sql.SQL("{} " + kind).format(sql.Identifier(column)) for column, kind in columns)
    db.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(name), defined))
    with db.cursor().copy(sql.SQL("COPY {} FROM STDIN (FORMAT csv)").format(sql.Identifier(name))) as copy:
        for batch in parquet.iter_batches(65536):
            lines = io.BytesIO()
            csv.write_csv(batch, lines, without_header)
            copy.write(lines.getvalue())
