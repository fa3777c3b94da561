"""A Parquet file read to its end, for tests, and the canonical names of its columns."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from oracle import OLD_NAMES
from whole_file import DATA, WholeFile, plain_table

from taxi_ingest.catalog import fit
from taxi_ingest.catalog.reading import dataset
from taxi_ingest.readers.parquet import read

CANONICAL: dict[str, dict[str, str]] = json.loads((DATA.parent / "canonical_columns.json").read_text())
FLIPS: dict[str, Any] = json.loads((DATA.parent / "type_flips.json").read_text())
LAYOUTS: dict[str, dict[str, str]] = FLIPS["layouts"]


def read_parquet(path: Path, stem: str = "", **settings: int) -> WholeFile:
    """Read a Parquet file named as TLC names it, or with that name as `stem`."""
    name, _, month = (stem or path.stem).partition("_tripdata_")
    layout = fit(dataset(name), "parquet", pq.read_schema(path).names, month[:7]).vintage
    whole = WholeFile([], [], Counter(), 0)
    for batch in read(path, dataset(name), layout, **settings):
        assert {field.name: str(field.type) for field in plain_table(batch).schema} == arrow_types(name)
        whole.add(batch)
    return whole


def arrow_types(name: str) -> dict[str, str]:
    """Canonical columns in order, with their Arrow types."""
    return {c: "timestamp[us]" if kind == "timestamp" else kind for c, kind in CANONICAL[name].items()}


def canonical_name(name: str, published: str) -> str | None:
    """The canonical column of a published one, None if it has none; taken from TLC's files, not from the catalog."""
    modern = {column.lower(): column for column in CANONICAL[name]}
    folded = published.strip().lower()
    return OLD_NAMES.get(name, {}).get(folded) or modern.get(folded)


def row_of(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """A canonical row with all columns; null where `values` has none."""
    return dict.fromkeys(CANONICAL[name]) | values
