"""Read a published file as batches in the canonical schema.

`inspecting` recognises a file by its content; a reader yields it as `Batch`es. A reader neither filters nor
deduplicates: every line of the file that has a value becomes a row or a reject of some batch.

* `csv` reads `blocks` of lines, `parsing` parses them with Arrow, and `batches` makes a batch of each.
* `parquet` reads row groups, whose types `parquet_types` converts; `parquet_footer` reads footers without Arrow.
* Both convert text to values by `columns`, into the schema of `canonical`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from taxi_ingest.catalog import Dataset, Vintage

if TYPE_CHECKING:
    import pyarrow as pa


GET_IT_AGAIN = "get the file again, or name another --source"
"""What helps when a file is cut or damaged, wherever it came from."""

NO_VALUE_LOADED = "no value in any column that is loaded"
"""The reject reason for a row whose only values are in other columns, or are unknown codes."""


@dataclass(frozen=True)
class Reject:
    """A line that could not be read. `line` counts from 1: the line number of a CSV file, the row number of Parquet.

    `breaks_off` tells that the line ends too early, with too few fields or within quotes.
    """

    line: int
    reason: str
    raw: str
    breaks_off: bool = False


@dataclass
class Batch:
    """Consecutive rows of a file, in all canonical columns of the dataset except `file_month`.

    `encoded` has text dictionary-encoded, the form in which it is written. `lines` is the number of lines (Parquet:
    rows) the batch accounts for, counted independently of the parser and without header and blank lines; `empty` are
    those among them without any value, such as rows of commas, which are neither rows nor rejects. `codes` counts the
    unknown text codes that became null, by (column, text); `changed` the values that were changed, by (column, what was
    done). `nameless` are the positions, from 0, of columns that have values but no name. `unterminated` tells that the
    file's last line has no line end.
    `progress` is the share of the file, from 0 to 1, that had been read at most when the batch was made.
    """

    encoded: pa.Table
    lines: int
    rejects: list[Reject] = field(default_factory=list)
    codes: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: Counter[tuple[str, str]] = field(default_factory=Counter)
    empty: int = 0
    nameless: frozenset[int] = frozenset()
    unterminated: bool = False
    progress: float = 1.0


@dataclass(frozen=True)
class Inspected:
    """What a file contains: `format` is "csv" or "parquet"; `compression` is "gzip" or "", and "" for Parquet."""

    format: str
    compression: str
    columns: tuple[str, ...]


class Reader(Protocol):
    """Reads one file of a known layout in bounded memory."""

    def __call__(self, path: Path, dataset: Dataset, vintage: Vintage) -> Generator[Batch, None, None]:
        """Yield the file's rows in order. Whoever leaves off before the end closes the generator: it has threads.

        Raises ContentError when the file is truncated, damaged or has none of the dataset's columns, and SchemaError
        when a column's type or values do not fit the canonical type.
        """
        ...


@dataclass(frozen=True)
class Format:
    """What reads files of one format; `published_columns` raises ContentError for a file that has another one."""

    read: Reader
    published_columns: Callable[[Path], tuple[str, ...]]


def _csv() -> Format:
    from taxi_ingest.readers import csv

    return Format(csv.read, csv.published_columns)


def _parquet() -> Format:
    from taxi_ingest.readers import parquet

    return Format(parquet.read, parquet.published_columns)


FORMATS: dict[str, Callable[[], Format]] = {"csv": _csv, "parquet": _parquet}
"""What loads each format, named as in `Inspected.format`; pyarrow is imported when called."""


def reader(file_format: str) -> Reader:
    """The reader of a format."""
    return FORMATS[file_format]().read


def published_columns(path: Path, file_format: str) -> tuple[str, ...]:
    """The names of the columns of a file that was found to have this format. Raises ContentError if it has not."""
    return FORMATS[file_format]().published_columns(path)
