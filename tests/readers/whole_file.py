"""A file read to its end, for tests."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from taxi_ingest.catalog import Dataset, fit
from taxi_ingest.catalog.reading import dataset
from taxi_ingest.readers import Batch, Reject
from taxi_ingest.readers.canonical import plain
from taxi_ingest.readers.csv import read
from taxi_ingest.readers.inspecting import inspect

DATA = Path(__file__).parents[1] / "data" / "tlc"


def plain_table(batch: Batch) -> pa.Table:
    """The rows of a batch, with text in its plain type."""
    return batch.encoded.cast(plain(batch.encoded.schema))


@dataclass
class WholeFile:
    """Everything read from a file."""

    rows: list[dict[str, Any]]
    rejects: list[Reject]
    codes: Counter[tuple[str, str]]
    lines: int
    changed: Counter[tuple[str, str]] = field(default_factory=Counter)
    empty: int = 0
    nameless: frozenset[int] = frozenset()
    unterminated: bool = False

    def add(self, batch: Batch) -> None:
        """Add what the next batch holds."""
        self.rows += plain_table(batch).to_pylist()
        self.rejects += batch.rejects
        self.codes += batch.codes
        self.lines += batch.lines
        self.changed += batch.changed
        self.empty += batch.empty
        self.nameless |= batch.nameless
        self.unterminated |= batch.unterminated


def read_whole(path: Path, of: Dataset, **settings: int) -> WholeFile:
    """Read a CSV file in the layout its header fits; CSV exports of Parquet files have Parquet's columns."""
    published_as = "parquet" if "export" in path.name else "csv"
    layout = fit(of, published_as, inspect(path).columns, None).vintage
    whole = WholeFile([], [], Counter(), 0)
    for batch in read(path, of, layout, **settings):
        whole.add(batch)
    return whole


def dataset_of(path: Path) -> Dataset:
    """The dataset a sample belongs to, by its name."""
    return dataset("zones" if path.stem == "taxi_zone_lookup" else path.stem.partition("_")[0])


def types_of(of: Dataset) -> dict[str, str]:
    """Canonical names and types, in the form the oracle takes."""
    return {column.name: column.type for column in of.columns}
