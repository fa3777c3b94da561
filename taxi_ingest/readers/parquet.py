"""Read a Parquet file as Batches, row group by row group.

TLC's physical types change from month to month; here all of them are converted to the canonical types. One thread
reads and converts the next batch while the consumer writes the previous one.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from taxi_ingest.catalog import Column, Dataset, Vintage, fold
from taxi_ingest.errors import ContentError, SchemaError
from taxi_ingest.readers import Batch, Reject
from taxi_ingest.readers.columns import (
    Converted,
    all_but,
    arrow_type,
    convert,
    nulls,
    reject_reason,
    schema_of,
    with_null_columns,
)

# Some published files are a single row group, which Arrow would otherwise load as a whole.
_STREAMED = {"buffer_size": 1 << 20, "pre_buffer": False}

_MISFIT = {
    "int64": "which is not a 64-bit whole number",
    "double": "which is too large for a double",
    "timestamp": "which is out of range for microseconds",
}
_EXPECTED = {"int64": "whole numbers", "double": "numbers", "timestamp": "dates and times", "string": "text"}


@dataclass(frozen=True)
class _SourceColumn:
    """A column to read: its name and Arrow type in the file, and its canonical column."""

    published: str
    kind: pa.DataType
    column: Column


def read(path: Path, dataset: Dataset, vintage: Vintage, *, batch_rows: int = 32_768) -> Iterator[Batch]:
    """Yield the rows of a Parquet file in file order, at most `batch_rows` rows a batch.

    Columns are matched by name through `vintage.names`; others are not read. The batches' `lines` add up to the
    footer's row count. Memory use does not grow with the file or its row groups. Raises SchemaError when a column's
    type, or one of its numbers or times, does not fit the canonical type; ContentError when the file is damaged or has
    no column of the dataset.
    """
    sources = _sources(path, dataset, vintage)
    # Texts repeat: dictionary-encoded, each is trimmed and looked up once.
    texts = [s.published for s in sources if s.column.type == "string" and _is_text(s.kind)]
    with _open(path, texts) as file, ThreadPoolExecutor(1, "read") as ahead:
        batches = _batches(file, path, sources, schema_of(dataset.columns), batch_rows)
        coming = ahead.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = ahead.submit(next, batches, None)
            yield batch


def _open(path: Path, texts: list[str] | None = None) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, read_dictionary=texts, page_checksum_verification=True, **_STREAMED)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException) -> ContentError:
    reason = (str(error).splitlines() or [""])[0].rstrip(".")
    return ContentError(f"{path.name} is a damaged Parquet file ({reason}): delete it and download it again.")


def _sources(path: Path, dataset: Dataset, vintage: Vintage) -> list[_SourceColumn]:
    """The columns to read, in canonical order. Raises SchemaError for a type without a canonical conversion."""
    with _open(path) as file:
        schema = file.schema_arrow
    published = {vintage.names.get(fold(field.name)): field for field in schema}
    sources = []
    for column in dataset.columns:
        if column.name not in published:
            continue
        field = published[column.name]
        source = _SourceColumn(field.name, _value_type(field.type), column)
        if not _is_convertible(source.kind, column):
            zoned = _is_zoned(source.kind)
            raise SchemaError(
                f"{path.name}: the column {field.name.strip()} has type {source.kind}; "
                f"expected {_EXPECTED[column.type]}{' without a time zone' if zoned else ''}. "
                "If TLC changed the file, this version cannot read it: upgrade taxi-ingest."
            )
        sources.append(source)
    if not sources:
        raise ContentError(
            f"{path.name} has no column of {dataset.name}: it has {', '.join(schema.names)[:80]}. "
            "Check that this is the right file for the dataset."
        )
    return sources


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_convertible(kind: pa.DataType, column: Column) -> bool:
    types = pa.types
    if types.is_null(kind) or _is_text(kind):
        return True
    if column.type == "timestamp":
        return types.is_date(kind) or (types.is_timestamp(kind) and kind.tz is None)
    if types.is_integer(kind) or types.is_floating(kind):
        return True
    return types.is_decimal(kind) and column.type != "string"


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_zoned(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) and kind.tz is not None


def _batches(
    file: pq.ParquetFile, path: Path, sources: list[_SourceColumn], schema: pa.Schema, batch_rows: int
) -> Iterator[Batch]:
    converter = _Converter(path, sources, schema)
    row = 1
    for group in range(file.metadata.num_row_groups):
        missing = file.metadata.row_group(group).num_rows
        for record in _records(file, path, group, [s.published for s in sources], batch_rows):
            yield converter.batch(record, row)
            row += record.num_rows
            missing -= record.num_rows
        if missing:  # a row count other than the footer's: makes the caller's check of lines against rows fail
            yield Batch(schema.empty_table(), missing)


def _records(
    file: pq.ParquetFile, path: Path, group: int, names: list[str], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    try:
        # One thread: decoding is cheap, and the consumer needs the other cores for encoding.
        yield from file.iter_batches(batch_rows, row_groups=[group], columns=names, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


class _Converter:
    """Turns record batches of one file into Batches."""

    def __init__(self, path: Path, sources: list[_SourceColumn], schema: pa.Schema) -> None:
        self._path = path
        self._sources = sources
        self._schema = schema

    def batch(self, record: pa.RecordBatch, first: int) -> Batch:
        """Convert a record batch; `first` is the number in the file, from 1, of its first row."""
        converted = {s.column.name: self._convert_column(record.column(s.published), s, first) for s in self._sources}
        reasons = self._reasons(record, converted)
        if reasons:
            good = self.batch(record.filter(all_but(reasons, record.num_rows)), first)
            good.lines = record.num_rows
            good.rejects = [Reject(first + row, "; ".join(why), _as_json(record, row)) for row, why in reasons.items()]
            return good
        return Batch(
            with_null_columns(self._schema, {name: c.array for name, c in converted.items()}, record.num_rows),
            record.num_rows,
            codes=Counter({(name, text): n for name, c in converted.items() for text, n in c.unknown.items()}),
        )

    def _reasons(self, record: pa.RecordBatch, converted: dict[str, Converted]) -> dict[int, list[str]]:
        """Reject reasons by row position in the batch, in file order."""
        reasons: dict[int, list[str]] = {}
        for source in self._sources:
            bad = converted[source.column.name].bad
            for row in [] if bad is None else pc.indices_nonzero(bad).to_pylist():
                text = record.column(source.published)[row].as_py()
                reasons.setdefault(row, []).append(reject_reason(source.column, text))
        return dict(sorted(reasons.items()))

    def _convert_column(self, array: pa.Array, source: _SourceColumn, first: int) -> Converted:
        column = source.column
        if pa.types.is_null(source.kind):
            return Converted(nulls(len(array), arrow_type(column)))
        if column.type == "string" and pa.types.is_dictionary(array.type):
            texts = self._valid(pc.cast(array.dictionary, pa.string()), source)
            return convert(pa.DictionaryArray.from_arrays(array.indices, texts, safe=False), column)
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if _is_text(array.type) or column.type == "string":
            return convert(self._valid(pc.cast(array, pa.string()), source), column)
        return Converted(self._cast_or_refuse(array, source, first))

    def _valid(self, texts: pa.StringArray, source: _SourceColumn) -> pa.StringArray:
        """Check the UTF-8 that Parquet requires but Arrow does not verify; a database would reject the file later."""
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid as error:
            raise _damaged(self._path, ValueError(f"{source.published.strip()} is not valid UTF-8")) from error
        return texts

    def _cast_or_refuse(self, array: pa.Array, source: _SourceColumn, first: int) -> pa.Array:
        try:
            return _cast_exact(array, source.column)
        except pa.ArrowInvalid as error:
            row = _first_misfit(array, source.column)
            raise SchemaError(
                f"{self._path.name}: the column {source.published.strip()} has type {source.kind} and, in row "
                f"{first + row:,}, the value {_plain(array[row])}, {_MISFIT[source.column.type]}. "
                "If TLC changed the meaning of the column, this version cannot read it: upgrade taxi-ingest."
            ) from error


def _cast_exact(array: pa.Array, column: Column) -> pa.Array:
    """Cast without loss, except that times are truncated to microseconds. Raises ArrowInvalid."""
    return pc.cast(array, options=pc.CastOptions(arrow_type(column), allow_time_truncate=column.type == "timestamp"))


def _first_misfit(array: pa.Array, column: Column) -> int:
    """The position of the first value that `_cast_exact` refuses, by binary search; there must be one."""
    low, high = 0, len(array)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            _cast_exact(array[low:middle], column)
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return low


def _as_json(record: pa.RecordBatch, row: int) -> str:
    """A row as published; values that JSON cannot express (times, NaN) as text."""
    return json.dumps({name: _plain(record.column(name)[row]) for name in record.schema.names}, ensure_ascii=False)


def _plain(scalar: pa.Scalar) -> object:
    if pa.types.is_temporal(scalar.type) or pa.types.is_decimal(scalar.type):
        return pc.cast(scalar, pa.string()).as_py()
    value = scalar.as_py()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
