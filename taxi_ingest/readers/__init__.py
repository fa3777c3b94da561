"""From a published file to batches in the canonical schema.

`inspect()` recognises a file by its content; the readers turn it into `Batch`es. A reader never filters and never
deduplicates: every line of the file is a row of some batch or one of its rejects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from taxi_ingest.catalog import Dataset, Vintage

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Reject:
    """A line (CSV: line number in the file from 1; Parquet: row number from 1) that could not be read, and why."""

    line: int
    reason: str
    raw: str


@dataclass
class Batch:
    """Some rows in file order: all canonical columns of the dataset, without `file_month`.

    `encoded` has text as dictionaries, as it came about and as it is written; `table` is the same in plain types.
    `lines` is how many lines (rows) of the file this batch accounts for, counted apart from the parser and without
    header and blank lines; `codes` counts the unknown text codes that became null, by (column, text).
    """

    encoded: pa.Table
    lines: int
    rejects: list[Reject] = field(default_factory=list)
    codes: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def table(self) -> pa.Table:
        """The rows in plain types."""
        import pyarrow as pa

        plain = [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in self.encoded.schema]
        return self.encoded.cast(pa.schema(plain))


@dataclass(frozen=True)
class Inspected:
    """What a file is, by content: `format` is "csv" or "parquet"; `compression` is "gzip" or "" (CSV only)."""

    format: str
    compression: str
    columns: tuple[str, ...]


class Reader(Protocol):
    """Reads one file of a known layout, in bounded memory."""

    def __call__(self, path: Path, dataset: Dataset, vintage: Vintage) -> Iterator[Batch]:
        """Yield the file's rows in order. Raises ContentError when the file breaks off or is not what it was."""
        ...


FORMATS = {"csv": "taxi_ingest.readers.csv", "parquet": "taxi_ingest.readers.parquet"}
"""Format → module with a `read` that is a Reader. Modules load when first needed."""


def reader(file_format: str) -> Reader:
    """The reader of a format, as `Inspected` names it."""
    import importlib

    read: Reader = importlib.import_module(FORMATS[file_format]).read
    return read
