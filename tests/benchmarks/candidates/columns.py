"""What every candidate is told of a month: its columns as published, in order, with the types they are to get.

As a program it prints them as JSON, `columns.py DATASET MONTH`, for candidates that must not import the catalog.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

DUCKDB = {"int64": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "timestamp": "TIMESTAMP"}


def columns(dataset: str, month: str, file_format: str) -> dict[str, str]:
    """Published name → "int64", "double", "string" or "timestamp"."""
    from taxi_ingest.catalog import fold
    from taxi_ingest.catalog.reading import dataset as dataset_named

    known = dataset_named(dataset)
    vintage = next(v for v in known.vintages if v.format == file_format and v.covers(month))
    types = {column.name: column.type for column in known.columns}
    return {name: types[vintage.names[fold(name)]] for name in vintage.columns if fold(name) in vintage.names}


def struct(types: Mapping[str, str]) -> str:
    """Columns as DuckDB's `read_csv` takes them: published name → SQL type."""
    return "{" + ", ".join(f"'{name}': '{DUCKDB[kind]}'" for name, kind in types.items()) + "}"


if __name__ == "__main__":
    print(json.dumps(columns(*sys.argv[1:], "csv")))
