"""From the Arrow types that Parquet files are read in to the canonical types, without loss where that is possible."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from taxi_ingest.catalog import Column
from taxi_ingest.errors import SchemaError
from taxi_ingest.readers.canonical import arrow_type, nulls
from taxi_ingest.readers.columns import CUT, NAT, Change, Converted, has_finite_sum, nan_to_null

_NEW_YORK = {"America/New_York", "US/Eastern"}
_YES_OR_NO = "Y/N"
_NANOSECONDS = 2**63 // 1000
"""Microseconds around 1970 that fit 64 bits as nanoseconds: 1677-09-21 to 2262-04-11."""

_NAT = -(2**63)
_FAR_FROM_WRAPPING = 2**63 - 10**15

_MISFIT = {
    "int64": "which is not a 64-bit whole number",
    "double": "which is infinite, or no number that a double holds exactly",
    "timestamp": "which is out of range for microseconds",
}
_EXPECTED = {"int64": "whole numbers", "double": "numbers", "timestamp": "dates and times", "string": "text"}
_CASTS = {"int64": "BIGINT", "double": "DOUBLE", "timestamp": "TIMESTAMP", "string": "VARCHAR"}


@dataclass(frozen=True)
class SourceColumn:
    """A column to read: its name and Arrow type in the file, and its canonical column."""

    published: str
    kind: pa.DataType
    column: Column
    is_int96: bool = False


class MisfitError(ValueError):
    """A value has no exact equal in the canonical type: its position in the array, and why in words."""

    def __init__(self, row: int, value: pa.Scalar, why: str) -> None:
        super().__init__(why)
        self.row = row
        self.value = value


def value_type(kind: pa.DataType) -> pa.DataType:
    """The type of a column's values, whether or not they are dictionary-encoded."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is one of Arrow's types of text."""
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_convertible(source: SourceColumn) -> bool:
    """Whether the column's type can stand for its canonical type without doubt about the meaning."""
    types, kind, column = pa.types, source.kind, source.column
    if types.is_null(kind) or is_text(kind) or _is_bytes(kind):
        return True
    if column.type == "timestamp":
        return types.is_date(kind) or (types.is_timestamp(kind) and kind.tz in {None, *_NEW_YORK})
    if types.is_boolean(kind):
        return column.unit == _YES_OR_NO
    if types.is_integer(kind) or types.is_floating(kind):
        return True
    return types.is_decimal(kind) and column.type != "string"


def explain(source: SourceColumn, writer: str | None) -> str:
    """Why a column cannot be read, and what helps. `writer` is what the file says of the program that wrote it."""
    name, column = source.published.strip(), source.column
    zoned = pa.types.is_timestamp(source.kind) and source.kind.tz is not None
    cast = f"{name} AT TIME ZONE 'America/New_York'" if zoned else f"CAST({name} AS {_CASTS[column.type]})"
    return (
        f"the column {name} has type {source.kind}; expected {_EXPECTED[column.type]}"
        f"{' of the New York wall clock, without a time zone' if zoned else ''}. The file was written by "
        f"{writer or 'an unnamed program'}: write it again with {cast}. "
        "If TLC itself changed the file, upgrade taxi-ingest."
    )


def without_nan(array: pa.Array, source: SourceColumn) -> tuple[pa.Array, Counter[Change]]:
    """Numbers that stand for text, with null in place of NaN; any other column as it is."""
    if source.column.type != "string" or not pa.types.is_floating(source.kind):
        return array, Counter()
    return nan_to_null(_plain_numbers(array))


def as_text(array: pa.Array, source: SourceColumn) -> pa.Array | None:
    """The column as valid UTF-8 (dictionary-encoded where it was) if it is or becomes text; None if it is numbers.

    Raises UnicodeDecodeError: Parquet requires UTF-8, but Arrow does not verify it, and a database would refuse it.
    """
    types = pa.types
    if types.is_null(source.kind):
        return None
    if source.column.type == "string" and types.is_dictionary(array.type):
        texts = _valid(array.dictionary)
        return pa.DictionaryArray.from_arrays(array.indices, texts, safe=False)
    if types.is_boolean(source.kind):
        plain = array.dictionary_decode() if types.is_dictionary(array.type) else array
        return pc.if_else(plain, pa.scalar("Y"), pa.scalar("N"))
    if is_text(source.kind) or _is_bytes(source.kind) or source.column.type == "string":
        return _valid(array.dictionary_decode() if types.is_dictionary(array.type) else array)
    return None


def cast_exact(array: pa.Array, column: Column) -> Converted:
    """Convert numbers or times to the canonical type.

    NaN and NaT become null, and times are cut to microseconds, all counted. Raises MisfitError for any other value
    that has no exact equal.
    """
    target = arrow_type(column)
    if pa.types.is_null(array.type):
        return Converted(nulls(len(array), target))
    array = _plain_numbers(array)
    changed: Counter[Change] = Counter()
    is_finite = pa.types.is_floating(array.type) and has_finite_sum(array)
    if pa.types.is_floating(array.type) and not is_finite:
        array, changed = nan_to_null(array)
    if pa.types.is_timestamp(array.type):
        array, changed = _nat_to_null(array)
    try:
        values = _cast(array, column) if is_finite else _cast_checked(array, column)
    except pa.ArrowInvalid as error:
        row = _first_misfit(array, column)
        raise MisfitError(row, array[row], _MISFIT[column.type]) from error
    if pa.types.is_timestamp(array.type) and array.type.unit == "ns":
        changed[CUT] = lost_below_microsecond(_unzoned(array), values)
        values = _floored(_unzoned(array), values) if changed[CUT] else values
    return Converted(values, changed=changed)


def _nat_to_null(times: pa.TimestampArray) -> tuple[pa.TimestampArray, Counter[Change]]:
    """The times with null in place of NaT, and how many there were.

    NaT is NumPy's null of a time, which fastparquet writes as it is into a column that it declares to have no nulls.
    """
    nats = pc.equal(pc.cast(times, pa.int64()), _NAT)
    count = nats.true_count
    if not count:
        return times, Counter()
    return pc.if_else(nats, pa.scalar(None, times.type), times), Counter({NAT: count})


def lost_below_microsecond(fine: pa.Array, rounded: pa.Array) -> int:
    """The number of timestamps that lost digits, given in nanoseconds (wrapped round if too large) and microseconds."""
    micros = pc.cast(rounded, pa.int64())
    fits = pc.less(pc.abs(micros), _NANOSECONDS)
    back = pc.multiply(pc.if_else(fits, micros, 0), 1000)
    differs = pc.not_equal(back, pc.if_else(fits, pc.cast(fine, pa.int64()), 0))
    lost: int = differs.true_count
    return lost


def _plain_numbers(array: pa.Array) -> pa.Array:
    """The column without dictionary, and wide enough for Arrow to calculate with."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return pc.cast(array, pa.float32()) if pa.types.is_float16(array.type) else array


def _unzoned(array: pa.Array) -> pa.Array:
    return _wall_clock(array) if pa.types.is_timestamp(array.type) and array.type.tz is not None else array


def _floored(fine: pa.Array, cut: pa.TimestampArray) -> pa.TimestampArray:
    """Times cut towards the past, as INT96 is, although Arrow cuts towards 1970."""
    nanoseconds, microseconds = pc.cast(fine, pa.int64()), pc.cast(cut, pa.int64())
    is_later = pc.greater(pc.multiply(microseconds, 1000), nanoseconds)
    return pc.cast(pc.if_else(is_later, pc.subtract(microseconds, 1), microseconds), cut.type)


def _wall_clock(times: pa.TimestampArray) -> pa.TimestampArray:
    """Zoned times as their zone's clocks show them.

    Raises SchemaError where this machine does not know the zone, ArrowInvalid for times that would wrap round.
    """
    extremes = pc.min_max(pc.cast(times, pa.int64())).as_py()
    if any(abs(extreme or 0) > _FAR_FROM_WRAPPING for extreme in extremes.values()):
        raise pa.ArrowInvalid("too far from 1970")
    try:
        return pc.local_timestamp(times)
    except pa.ArrowInvalid as error:
        raise SchemaError(
            f"This machine does not know the time zone {times.type.tz}. Install the system's package tzdata."
        ) from error


def _is_bytes(kind: pa.DataType) -> bool:
    """Whether a type is bytes, as which some programs write text."""
    types = pa.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _valid(texts: pa.Array) -> pa.StringArray:
    if _is_bytes(texts.type):
        texts = pc.cast(texts, pa.binary()).view(pa.string())
    texts = pc.cast(texts, pa.string())
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise UnicodeDecodeError("utf-8", b"", 0, 0, str(error)) from error
    return texts


def _cast(array: pa.Array, column: Column) -> pa.Array:
    """Cast without loss, except that times are truncated to microseconds. Raises ArrowInvalid."""
    target = arrow_type(column)
    if pa.types.is_decimal(array.type) and column.type == "double":
        array = pc.cast(array, pa.string())  # whose double is the nearest; Arrow's own cast is often the one beside it
    return pc.cast(array, options=pc.CastOptions(target, allow_time_truncate=column.type == "timestamp"))


def _cast_checked(array: pa.Array, column: Column) -> pa.Array:
    """As `_cast`, of zoned times by their wall clock; also raises ArrowInvalid for infinity."""
    values = _cast(_unzoned(array), column)
    if column.type == "double" and not has_finite_sum(values) and pc.any(pc.is_inf(values)).as_py():
        raise pa.ArrowInvalid("infinity")
    return values


def _first_misfit(array: pa.Array, column: Column) -> int:
    """The position of the first value that `_cast_checked` refuses, by binary search; there must be one."""
    low, high = 0, len(array)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            _cast_checked(array[low:middle], column)
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return low
