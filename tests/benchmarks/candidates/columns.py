"""What every candidate is told of a month: its columns as published, in order, with the types they are to get."""

from __future__ import annotations

from taxi_ingest.catalog import fold
from taxi_ingest.catalog.reading import dataset as dataset_named


def columns(dataset: str, month: str, file_format: str) -> dict[str, str]:
    """Published name → "int64", "double", "string" or "timestamp"."""
    known = dataset_named(dataset)
    vintage = next(v for v in known.vintages if v.format == file_format and v.covers(month))
    types = {column.name: column.type for column in known.columns}
    return {name: types[vintage.names[fold(name)]] for name in vintage.columns if fold(name) in vintage.names}
