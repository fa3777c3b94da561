"""The answer to a query: a table for a terminal; CSV, JSON or a Parquet file of all rows, written as they come."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
import pyarrow as pa
from pyarrow import csv
from rich import box
from rich.table import Table
from rich.text import Text

from taxi_ingest.files import replacing
from taxi_ingest.printable import on_one_line, printable
from taxi_ingest.report.fitting import wrapped
from taxi_ingest.report.values import digits, text_beyond_python, values_of
from taxi_ingest.report.words import count

if TYPE_CHECKING:
    from rich.console import Console

    from taxi_ingest.warehouses.capabilities import Answer

Write = Callable[[bytes], object]

MOST_ROWS = 50
"""Rows that are shown on a terminal."""

_MOST_COUNTED = 1_000_000
"""Rows up to which those that are not shown are counted."""

_WIDEST = 40
"""Characters of a value that are shown on a terminal."""

_ROW_GROUP_ROWS = 131_072

_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)

_SCALES = (0, 2, 4, 6, 8, 12, 16)


def writing(out: BinaryIO) -> Write:
    """What writes to `out`: every byte as it is, but what would steer a terminal as an escape, if it is one."""
    if not out.isatty():
        return out.write
    return lambda whole_lines: out.write(printable(whole_lines.decode(errors="backslashreplace")).encode())


def table(out: Console, answer: Answer) -> None:
    """The first rows, in as many columns as fit side by side, and what was left out."""
    shown, more = _first(answer.batches)
    names = [on_one_line(name) for name in answer.schema.names]
    cells = [[_cell(value) for value in row] for row in shown]
    widths = [max(len(text) for text in column) for column in zip(names, *cells, strict=True)]
    fitting = _fitting(widths, out.width)
    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name, field in zip(names[:fitting], answer.schema, strict=False):
        drawn.add_column(Text(name), justify="right" if _is_number(field.type) else "left", no_wrap=True)
    for row in cells:
        drawn.add_row(*(Text(text, style="" if text != _NULL else "dim") for text in row[:fitting]))
    out.print(drawn)
    if fitting < len(names):
        left_out = count(len(names) - fitting, "more column")
        sentence = f"{left_out}: {', '.join(names[fitting:])}. --csv gives all."
        out.print(wrapped(out, sentence), markup=False, style="dim")
    out.print(_row_count(len(shown), more), style="dim")


def write_csv(write: Write, answer: Answer) -> None:
    r"""A line of names and a line a row; every text is quoted, so that an empty one is told from null.

    Bytes are in hexadecimal as Postgres writes them (`\x00ff`), lists and structs are JSON.
    """
    header = csv.WriteOptions(include_header=True)
    write(_csv(pa.RecordBatch.from_pylist([], schema=_for_csv(answer.schema)), header))
    without = csv.WriteOptions(include_header=False)
    for batch in answer.batches:
        write(_csv(_as_csv_takes_it(batch), without))


def write_json(write: Write, answer: Answer) -> None:
    """One list with an object a row and line. Numbers are exact; what JSON has no number for (NaN) is null.

    Bytes are in base64. What Python has no value for, such as infinity as a day, is the text that DuckDB gives.
    """
    names, separator = _unique(answer.schema.names), b"[\n"
    for batch in answer.batches:
        for row in _rows(batch):
            write(separator + _ENCODER.encode(dict(zip(names, row, strict=True))))
            separator = b",\n"
    write(b"[]\n" if separator == b"[\n" else b"\n]\n")


def write_parquet(path: Path, answer: Answer) -> int:
    """A file that appears whole or not at all; returns its number of rows."""
    import pyarrow.parquet as pq

    names = _unique(answer.schema.names)
    schema = pa.schema([pa.field(name, field.type) for name, field in zip(names, answer.schema, strict=True)])
    rows = 0
    with replacing(path) as scratch, pq.ParquetWriter(scratch, schema, compression="zstd") as writer:
        for piece in _gathered(answer.batches):
            writer.write_table(pa.table(piece.columns, schema=schema))
            rows += piece.num_rows
    return rows


# ---- rows


def _first(batches: Iterator[pa.RecordBatch]) -> tuple[list[list[Any]], int | None]:
    """The rows that are shown, and how many there are beyond them: None for too many to be counted."""
    shown: list[list[Any]] = []
    more = 0
    for batch in batches:
        taken = batch.slice(0, MOST_ROWS - len(shown))
        shown += _rows(taken)
        more += batch.num_rows - taken.num_rows
        if more > _MOST_COUNTED:
            return shown, None
    return shown, more


def _rows(batch: pa.RecordBatch) -> list[list[Any]]:
    """The rows as Python's values; decimals without zeros at their end."""
    return [list(row) for row in zip(*map(values_of, batch.columns), strict=True)]


def _row_count(shown: int, more: int | None) -> str:
    if more == 0:
        return count(shown, "row")
    left_out = f"more than {_MOST_COUNTED:,}" if more is None else f"{more:,}"
    return f"{shown:,} rows shown, {left_out} left out. --csv, --json and --parquet FILE give all."


def _unique(names: Sequence[str]) -> list[str]:
    """The names, those that occurred before with a number: an object has each once."""
    found: list[str] = []
    for name in names:
        number, one = 1, name
        while one in found:
            one, number = f"{name}_{number}", number + 1
        found.append(one)
    return found


# ---- a terminal

_NULL = "null"


def _cell(value: Any) -> str:
    if value is None:
        return _NULL
    text = on_one_line(_as_words(value))
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _as_words(value: Any) -> str:
    """A value as text: bytes in hexadecimal, as Postgres writes them, and values of values as JSON."""
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, dict | list):
        return _ENCODER.encode(value).decode()
    return digits(value) if isinstance(value, Decimal) else str(value)


def _fitting(widths: Sequence[int], width: int) -> int:
    """How many of the first columns fit side by side; one always does."""
    used = 0
    for number, one in enumerate(widths):
        used += one + 2
        if used > width and number:
            return number
    return len(widths)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


# ---- files


def _is_plain(kind: pa.DataType) -> bool:
    """Whether CSV has a form for values of this type."""
    simple = (
        pa.types.is_boolean,
        pa.types.is_date,
        pa.types.is_timestamp,
        pa.types.is_string,
        pa.types.is_large_string,
    )
    return _is_number(kind) or any(is_one(kind) for is_one in simple)


def _for_csv(schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(f.name, f.type if _is_plain(f.type) else pa.string()) for f in schema])


def _as_csv_takes_it(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [_plain(c) if _is_plain(c.type) else _as_text(c) for c in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _plain(column: pa.Array) -> pa.Array:
    """A column whose values CSV has a form for, as text where some of its days or moments are not Python's."""
    texts = text_beyond_python(column)
    return _with_fewer_zeros(column) if texts is None else pa.array(texts, pa.string())


def _with_fewer_zeros(column: pa.Array) -> pa.Array:
    """A decimal with no more digits after the point than its values have."""
    if pa.types.is_decimal(column.type):
        for scale in (scale for scale in _SCALES if scale < column.type.scale):
            with contextlib.suppress(pa.ArrowInvalid):
                return column.cast(pa.decimal128(38, scale))
    return column


def _csv(batch: pa.RecordBatch, options: csv.WriteOptions) -> bytes:
    lines = io.BytesIO()
    csv.write_csv(batch, lines, options)
    return lines.getvalue()


def _as_text(column: pa.Array) -> pa.Array:
    return pa.array([None if value is None else _as_words(value) for value in values_of(column)], pa.string())


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The batches, put together to row groups of a good size."""
    pending: list[pa.RecordBatch] = []
    for batch in batches:
        pending.append(batch)
        if sum(one.num_rows for one in pending) >= _ROW_GROUP_ROWS:
            yield pa.Table.from_batches(pending)
            pending = []
    if pending:
        yield pa.Table.from_batches(pending)
