"""pandas in chunks, the way of many a notebook. `pandas_chunks.py SOURCE OUTPUT DATASET MONTH`."""

from __future__ import annotations

import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from columns import columns

source, output, dataset, month = sys.argv[1:]
types = columns(dataset, month, "csv")
DTYPES = {"int64": "Int64", "double": "float64", "string": "str"}
ARROW = {"int64": pa.int64(), "double": pa.float64(), "string": pa.string(), "timestamp": pa.timestamp("us")}
schema = pa.schema([(name, ARROW[kind]) for name, kind in types.items()])
chunks = pd.read_csv(
    source,
    dtype={name: DTYPES[kind] for name, kind in types.items() if kind in DTYPES},
    parse_dates=[name for name, kind in types.items() if kind == "timestamp"],
    chunksize=131_072,
)
with pq.ParquetWriter(output, schema, compression="zstd", compression_level=3) as writer:
    for chunk in chunks:
        writer.write_table(pa.Table.from_pandas(chunk, schema, preserve_index=False))
