"""What the lesson does, with types given: the whole file at once. `lesson.py SOURCE OUTPUT DATASET MONTH`."""

from __future__ import annotations

import sys

import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
from columns import columns

source, output, dataset, month = sys.argv[1:]
TYPES = {"int64": pa.int64(), "double": pa.float64(), "string": pa.string(), "timestamp": pa.timestamp("us")}
types = {name: TYPES[kind] for name, kind in columns(dataset, month, "csv").items()}
table = pv.read_csv(source, convert_options=pv.ConvertOptions(column_types=types, strings_can_be_null=True))
pq.write_table(table, output, compression="zstd", compression_level=3)
