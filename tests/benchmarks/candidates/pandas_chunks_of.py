"""How the lesson reads a month: pandas, 100,000 rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

DTYPES = {"int64": "Int64", "double": "float64", "string": "str"}


def chunks_of(path: Path, types: Mapping[str, str], month: str) -> Iterator[pd.DataFrame]:
    """The rows of a CSV file, with `file_month`."""
    chunks = pd.read_csv(
        path,
        dtype={name: DTYPES[kind] for name, kind in types.items() if kind in DTYPES},
        parse_dates=[name for name, kind in types.items() if kind == "timestamp"],
        chunksize=100_000,
    )
    for chunk in chunks:
        yield chunk.assign(file_month=pd.Timestamp(f"{month}-01"))
