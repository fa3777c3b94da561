"""The whole step: rules, rejects, conservation, provenance. `ours.py SOURCE OUTPUT DATASET MONTH`.

Checksum, format and column names are given, as the download leaves them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from columns import columns

from taxi_ingest.catalog import Part
from taxi_ingest.process import block_heavy_imports

block_heavy_imports()  # as the command does, before anything imports pyarrow
from taxi_ingest.steps.parquetize import Limits, Raw, Writer, parquetize  # noqa: E402

source, output = Path(sys.argv[1]), Path(sys.argv[2])
dataset, month = sys.argv[3:]
kind = "parquet" if source.suffix == ".parquet" else "csv"
parquetize(
    Raw(source, source.name, "0" * 64, source.stat().st_size, kind, tuple(columns(dataset, month, kind))),
    output,
    output.with_suffix(".rejects.csv"),
    part=Part(dataset, month),
    writer=Writer(compression="zstd", level=3, row_group_rows=131_072),
    limits=Limits(max_rejects=0.1),
)
