"""The whole step: rules, rejects, conservation, provenance. `ours.py SOURCE OUTPUT DATASET MONTH`."""

from __future__ import annotations

import sys
from pathlib import Path

from taxi_ingest.catalog import Part
from taxi_ingest.readers.inspecting import inspect
from taxi_ingest.steps.parquetize import Limits, Raw, Writer, parquetize

source, output = Path(sys.argv[1]), Path(sys.argv[2])
found = inspect(source)
parquetize(
    Raw(source, source.name, "0" * 64, source.stat().st_size, found.format, tuple(found.columns)),
    output,
    output.with_suffix(".rejects.csv"),
    part=Part(sys.argv[3], sys.argv[4]),
    writer=Writer(compression="zstd", level=3, row_group_rows=131_072),
    limits=Limits(max_rejects=0.1),
)
