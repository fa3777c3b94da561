"""Read a Parquet file as Batches, row group by row group.

TLC's physical types change from month to month, and other tools have types of their own; `parquet_types` converts all
of them to the canonical types. One thread reads and converts the next batch while the consumer writes the previous one.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from taxi_ingest.catalog import Dataset, Vintage, fold
from taxi_ingest.errors import ContentError, SchemaError
from taxi_ingest.readers import GET_IT_AGAIN, NO_VALUE_LOADED, Batch, Reject
from taxi_ingest.readers.canonical import all_but, rows_with_a_value, schema_of, with_null_columns
from taxi_ingest.readers.columns import CUT, Change, Converted, convert, reject_reason
from taxi_ingest.readers.parquet_types import (
    MisfitError,
    SourceColumn,
    as_text,
    cast_exact,
    explain,
    is_convertible,
    is_text,
    lost_below_microsecond,
    value_type,
    without_nan,
)

# Some published files are a single row group, which Arrow would otherwise load as a whole.
_STREAMED = {"buffer_size": 1 << 20, "pre_buffer": False}

_WITH_DICTIONARY = {"PLAIN", "RLE", "BIT_PACKED", "PLAIN_DICTIONARY", "RLE_DICTIONARY"}

_DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError)
"""What Arrow raises for a damaged file, unless it ends the whole process."""


def read(path: Path, dataset: Dataset, vintage: Vintage, *, batch_rows: int = 32_768) -> Generator[Batch, None, None]:
    """Yield the rows of a Parquet file in file order, at most `batch_rows` rows a batch.

    Columns are matched by name through `dataset.names_in(vintage)`; others are not read. The batches' `lines` add up to
    the footer's row count. Memory use does not grow with the file or its row groups. Raises SchemaError when a column's
    type, or one of its numbers or times, does not fit the canonical type; ContentError when the file is damaged or has
    no column of the dataset. Damage that Arrow does not survive ends the process: `engine.conversion` gives it one of
    its own.
    """
    with _open(path) as file, _damage_translated(path):
        sources, writer = _sources(path, file, dataset, vintage), file.metadata.created_by or "an unnamed writer"
        texts = [s.published for s in sources if s.column.type == "string" and is_text(s.kind)]
        encodings = _encodings(file.metadata, texts)
    # Texts repeat: dictionary-encoded, each is trimmed and looked up once. Arrow cannot do that from every encoding.
    texts = [name for name in texts if encodings.get(name, set()) <= _WITH_DICTIONARY]
    converter = _Converter(path, sources, schema_of(dataset.columns), writer)
    with _open(path, texts) as file, ThreadPoolExecutor(1, "read") as ahead:
        batches = _batches(file, path, converter, batch_rows)
        coming = ahead.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = ahead.submit(next, batches, None)
            yield batch


def published_columns(path: Path) -> tuple[str, ...]:
    """The names of the columns. Raises ContentError for a damaged file."""
    with _open(path) as file, _damage_translated(path):
        return tuple(file.schema_arrow.names)


def _open(path: Path, texts: list[str] | None = None, *, int96_unit: str = "us") -> pq.ParquetFile:
    """Open a Parquet file. INT96 times are read in microseconds, in which they cannot overflow."""
    with _damage_translated(path):
        return pq.ParquetFile(
            path,
            read_dictionary=texts,
            coerce_int96_timestamp_unit=int96_unit,
            page_checksum_verification=True,
            **_STREAMED,
        )


def _encodings(metadata: pq.FileMetaData, names: list[str]) -> dict[str, set[str]]:
    """How the values of the columns `names` are encoded, over all row groups."""
    paths = [metadata.schema.column(at).path for at in range(metadata.num_columns)]
    positions = {name: paths.index(name) for name in names if name in paths}
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return {name: {e for group in groups for e in group.column(at).encodings} for name, at in positions.items()}


@contextmanager
def _damage_translated(path: Path) -> Iterator[None]:
    """Raise ContentError for what Arrow raises when a file is damaged."""
    try:
        yield
    except MemoryError:  # Arrow's own is one of its ArrowExceptions, too
        raise
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: BaseException) -> ContentError:
    reason = (str(error).splitlines() or [""])[0].rstrip(".")
    return ContentError(f"{path.name} is a damaged Parquet file ({reason}): {GET_IT_AGAIN}.")


def _sources(path: Path, file: pq.ParquetFile, dataset: Dataset, vintage: Vintage) -> list[SourceColumn]:
    """The columns to read, in canonical order. Raises SchemaError for a type without a canonical conversion."""
    schema, names = file.schema_arrow, dataset.names_in(vintage)
    published = {names.get(fold(field.name)): field for field in schema}
    int96 = {column.path for column in file.schema if column.physical_type == "INT96"}
    sources = []
    for column in dataset.columns:
        if column.name not in published:
            continue
        field = published[column.name]
        source = SourceColumn(field.name, value_type(field.type), column, is_int96=field.name in int96)
        if not is_convertible(source):
            raise SchemaError(f"{path.name}: {explain(source, file.metadata.created_by)}")
        sources.append(source)
    if not sources:
        raise ContentError(
            f"{path.name} has no column of {dataset.name}: it has {', '.join(schema.names)[:80]}. "
            "Check that this is the right file for the dataset."
        )
    return sources


def _batches(file: pq.ParquetFile, path: Path, converter: _Converter, batch_rows: int) -> Iterator[Batch]:
    row, total = 1, max(file.metadata.num_rows, 1)
    for group in range(file.metadata.num_row_groups):
        missing = file.metadata.row_group(group).num_rows
        records = _records(file, path, group, [s.published for s in converter.sources], batch_rows)
        cut = _cut_digits(path, group, converter.sources, batch_rows)
        for record in records:
            batch = converter.batch(record, row)
            batch.changed += next(cut, Counter())
            row += record.num_rows
            batch.progress = (row - 1) / total
            missing -= record.num_rows
            yield batch
        if missing:  # a row count other than the footer's: makes the caller's check of lines against rows fail
            yield Batch(converter.no_rows, missing)


def _records(
    file: pq.ParquetFile, path: Path, group: int, names: list[str], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    with _damage_translated(path):
        # One thread: decoding is cheap, and the consumer needs the other cores for encoding.
        for record in file.iter_batches(batch_rows, row_groups=[group], columns=names, use_threads=False):
            yield _without_views(record)


def _without_views(record: pa.RecordBatch) -> pa.RecordBatch:
    """The same with plain text and bytes in place of views of them, of which Arrow cannot choose rows."""
    plain = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    if plain.keys().isdisjoint(record.schema.types):
        return record
    return record.cast(pa.schema([field.with_type(plain.get(field.type, field.type)) for field in record.schema]))


def _cut_digits(
    path: Path, group: int, sources: list[SourceColumn], batch_rows: int
) -> Iterator[Counter[tuple[str, str]]]:
    """What is cut off INT96 times, batch by batch; they are read once more for it, in nanoseconds."""
    names = {s.published: s.column.name for s in sources if s.is_int96}
    if not names:
        return
    with _open(path, int96_unit="us") as exact, _open(path, int96_unit="ns") as fine:
        micros = _records(exact, path, group, list(names), batch_rows)
        nanos = _records(fine, path, group, list(names), batch_rows)
        for rounded, finer in zip(micros, nanos, strict=True):
            yield Counter(
                {
                    (column, CUT): lost_below_microsecond(finer.column(published), rounded.column(published))
                    for published, column in names.items()
                }
            )


class _Converter:
    """Turns record batches of one file, written by `writer`, into Batches."""

    def __init__(self, path: Path, sources: list[SourceColumn], schema: pa.Schema, writer: str) -> None:
        self.sources = sources
        self.no_rows = schema.empty_table()
        self._path = path
        self._schema = schema
        self._writer = writer

    def batch(self, record: pa.RecordBatch, first: int) -> Batch:
        """Convert a record batch; `first` is the number in the file, from 1, of its first row."""
        converted = {s.column.name: self._convert_column(record.column(s.published), s, first) for s in self.sources}
        reasons = self._reasons(record, converted)
        filled = rows_with_a_value([c.array for c in converted.values()])
        if filled is not None and (lost := self._rows_with_lost_values(record, filled)):
            reasons |= {row: [NO_VALUE_LOADED] for row in lost if row not in reasons}
            reasons = dict(sorted(reasons.items()))
        if reasons:
            good = self.batch(record.filter(all_but(reasons, record.num_rows)), first)
            good.lines = record.num_rows
            good.rejects = [Reject(first + row, "; ".join(why), _as_json(record, row)) for row, why in reasons.items()]
            return good
        table = with_null_columns(self._schema, {n: c.array for n, c in converted.items()}, record.num_rows)
        return Batch(
            table if filled is None else table.filter(filled),
            record.num_rows,
            codes=Counter({(name, text): n for name, c in converted.items() for text, n in c.unknown.items()}),
            changed=Counter({(name, what): n for name, c in converted.items() for what, n in c.changed.items()}),
            empty=0 if filled is None else filled.false_count,
        )

    def _rows_with_lost_values(self, record: pa.RecordBatch, filled: pa.BooleanArray) -> list[int]:
        """The rows that are not `filled` after conversion, although the file has values there; times are never lost."""
        sources = [record.column(s.published) for s in self.sources if not pa.types.is_timestamp(s.kind)]
        candidates: list[int] = pc.indices_nonzero(pc.invert(filled)).to_pylist()
        return [row for row in candidates if any(_is_value(column[row].as_py()) for column in sources)]

    def _reasons(self, record: pa.RecordBatch, converted: dict[str, Converted]) -> dict[int, list[str]]:
        """Reject reasons by row position in the batch, in file order."""
        reasons: dict[int, list[str]] = {}
        for source in self.sources:
            bad = converted[source.column.name].bad
            for row in [] if bad is None else pc.indices_nonzero(bad).to_pylist():
                text = record.column(source.published)[row].as_py()
                reasons.setdefault(row, []).append(reject_reason(source.column, text))
        return dict(sorted(reasons.items()))

    def _convert_column(self, array: pa.Array, source: SourceColumn, first: int) -> Converted:
        column = source.column
        try:
            array, changed = without_nan(array, source)
            texts = as_text(array, source)
            return cast_exact(array, column) if texts is None else _with(convert(texts, column), changed)
        except UnicodeDecodeError as error:
            raise _damaged(self._path, ValueError(f"{source.published.strip()} is not valid UTF-8")) from error
        except MisfitError as error:
            raise SchemaError(
                f"{self._path.name}: the column {source.published.strip()} has type {source.kind} and, in row "
                f"{first + error.row:,}, the value {_plain(error.value)}, {error}. The file was written by "
                f"{self._writer}; if TLC changed the meaning of the column, upgrade taxi-ingest."
            ) from error


def _with(converted: Converted, changed: Counter[Change]) -> Converted:
    return replace(converted, changed=converted.changed + changed) if changed else converted


def _is_value(cell: object) -> bool:
    """Whether a cell holds anything: no null, NaN or blank text."""
    if isinstance(cell, str | bytes):
        return bool(cell.strip())
    return cell is not None and not (isinstance(cell, float) and math.isnan(cell))


def _as_json(record: pa.RecordBatch, row: int) -> str:
    """A row as published; values that JSON cannot express (times, NaN, bytes) as text."""
    return json.dumps({name: _plain(record.column(name)[row]) for name in record.schema.names}, ensure_ascii=False)


def _plain(scalar: pa.Scalar) -> object:
    if pa.types.is_temporal(scalar.type) or pa.types.is_decimal(scalar.type):
        return pc.cast(scalar, pa.string()).as_py()
    value = scalar.as_py()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
