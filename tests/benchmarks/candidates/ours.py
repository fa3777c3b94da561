"""The whole step: rules, rejects, conservation, provenance. `ours.py SOURCE OUTPUT DATASET MONTH`.

Checksum (in SOURCE.crc32c), format and column names are given, as the download leaves them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from columns import columns

from taxi_ingest.catalog import Part
from taxi_ingest.process import block_heavy_imports

block_heavy_imports()  # as the command does, before anything imports pyarrow
from taxi_ingest.layout import Layout  # noqa: E402
from taxi_ingest.state.receipts import Downloaded  # noqa: E402
from taxi_ingest.steps.parquetize import Limits, parquetize  # noqa: E402
from taxi_ingest.writers.provenance import Writer  # noqa: E402

source, output = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
dataset, month = sys.argv[3:]
kind = "parquet" if source.suffix == ".parquet" else "csv"
part, layout = Part(dataset, month), Layout(output.with_suffix(".data"))
downloaded = Downloaded(
    source="file",
    url=source.name,
    file=str(source),
    bytes=source.stat().st_size,
    mtime_ns=0,
    sha256="0" * 64,
    crc32c=Path(f"{source}.crc32c").read_text(),
    format=kind,
    columns=tuple(columns(dataset, month, kind)),
)
writer = Writer(compression="zstd", level=3, row_group_rows=131_072)
parquetize(part, downloaded, layout, writer=writer, limits=Limits(max_rejects=0.1))
layout.parquet(part).replace(output)
