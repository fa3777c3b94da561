"""Polars, streaming, times read as text: its fast form. `polars_sink.py SOURCE OUTPUT DATASET MONTH`."""

from __future__ import annotations

import sys

import polars as pl
from columns import columns

source, output, dataset, month = sys.argv[1:]
TYPES = {"int64": pl.Int64, "double": pl.Float64, "string": pl.String}
if source.endswith(".parquet"):
    types = columns(dataset, month, "parquet")
    casts = [pl.col(name).cast(TYPES.get(kind, pl.Datetime("us"))) for name, kind in types.items()]
    frame = pl.scan_parquet(source).select(casts)
else:
    types = columns(dataset, month, "csv")
    times = [name for name, kind in types.items() if kind == "timestamp"]
    scan = pl.scan_csv(source, schema={name: TYPES.get(kind, pl.String) for name, kind in types.items()})
    frame = scan.with_columns(pl.col(times).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us"))
frame.sink_parquet(output, compression="zstd", compression_level=3)
