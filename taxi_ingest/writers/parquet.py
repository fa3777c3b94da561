"""Tables in the canonical schema → a Parquet file."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from taxi_ingest.catalog import FILE_MONTH, Dataset
from taxi_ingest.catalog.months import first_day
from taxi_ingest.readers.canonical import nulls, schema_of
from taxi_ingest.writers import row_groups
from taxi_ingest.writers.checksum import METADATA
from taxi_ingest.writers.provenance import Writer


def write(
    tables: Iterator[pa.Table],
    path: Path,
    dataset: Dataset,
    month: str | None,
    writer: Writer,
    footer: Callable[[], Mapping[bytes, bytes]],
    *,
    threads: int,
) -> str:
    """Write `tables`, in order, to `path` in row groups of `writer.row_group_rows` rows, and return its crc32c.

    `footer` is called at the end, when rows and rejects are counted: its result becomes the key-value metadata of the
    footer. Row groups are encoded by `threads` threads.
    """
    codec = None if writer.compression == "none" else writer.compression
    ready = (_ready(group, month) for group in _row_groups(tables, writer.row_group_rows))
    first = next(ready, schema(dataset).empty_table())
    options = {
        "compression": codec,
        "compression_level": writer.level if codec in {"zstd", "gzip"} else None,
        "use_dictionary": _dictionaries(first),
        "write_statistics": _ordered(first.schema),
        "write_page_checksum": True,
        "max_rows_per_page": writer.row_group_rows,  # a page still ends at 1 MiB; each costs a compressor's start
    }
    return row_groups.write(
        path,
        first.schema,
        itertools.chain([first], ready),
        options,
        lambda: {**footer(), **METADATA},
        constant=[FILE_MONTH],
        threads=threads,
    )


def schema(dataset: Dataset) -> pa.Schema:
    """The columns of a dataset's Parquet files; text is dictionary-encoded."""
    columns = schema_of(dataset.columns)
    return columns.append(pa.field(FILE_MONTH, pa.date32())) if dataset.monthly else columns


def _dictionaries(first: pa.Table) -> list[str]:
    """The columns worth a dictionary: all but times that repeat less than threefold, which are smaller without."""
    return [
        field.name
        for field in first.schema
        if not pa.types.is_timestamp(field.type) or pc.count_distinct(first[field.name]).as_py() * 3 < len(first)
    ]


def _ordered(schema: pa.Schema) -> list[str]:
    """The columns whose least and greatest values are worth noting: texts and amounts are alike in all row groups."""
    return [f.name for f in schema if pa.types.is_temporal(f.type) or pa.types.is_integer(f.type)]


def _row_groups(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Regroup `tables` into tables of exactly `rows` rows; the last may have fewer."""
    waiting: list[pa.Table] = []
    count = 0
    for table in tables:
        waiting.append(table)
        count += table.num_rows
        while count >= rows:
            whole = pa.concat_tables(waiting)
            yield whole.slice(0, rows)
            waiting, count = [whole.slice(rows)], count - rows
    if count:
        yield pa.concat_tables(waiting)


def _ready(table: pa.Table, month: str | None) -> pa.Table:
    """The table as it is written: with its month, and one dictionary a column, but none where there is no text."""
    for at, column in enumerate(table.schema):
        if pa.types.is_dictionary(column.type) and table[at].null_count == len(table):
            table = table.set_column(at, column.name, nulls(len(table), column.type.value_type))
    if month is not None:
        day = pa.repeat(pa.scalar(first_day(month), pa.date32()), table.num_rows)
        table = table.append_column(FILE_MONTH, day)
    return table.unify_dictionaries()
