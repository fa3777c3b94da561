"""The values of a column as Python's, or as text where Python has no such value.

Arrow has days and moments before the year 1 and after 9999, infinity, the time 24:00:00 and nanoseconds. Their text is
the one that DuckDB gives.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_DAY = 86_400
"""Seconds."""

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_EPOCH = date(1970, 1, 1)
# a day less on either side: a moment may be on the next or last day in its zone
_FIRST, _LAST = (date.min - _EPOCH).days + 1, (date.max - _EPOCH).days - 1
_CYCLE = 146_097
"""Days after which the calendar begins anew: 400 years."""


def values_of(column: pa.Array) -> list[Any]:
    """The values; decimals without zeros at their end."""
    kind = column.type
    if pa.types.is_decimal(kind):
        return [None if value is None else Decimal(digits(value)) for value in column.to_pylist()]
    if pa.types.is_temporal(kind) and not pa.types.is_duration(kind) and not pa.types.is_interval(kind):
        return _moments(column)
    if pa.types.is_struct(kind):
        return _structs(column)
    if pa.types.is_map(kind):
        return [None if one is None else [tuple(pair.values()) for pair in one] for one in _lists(column)]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _lists(column)
    return list(column.to_pylist())


def digits(value: Decimal) -> str:
    """A decimal as text, without zeros at its end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def text_beyond_python(column: pa.Array) -> list[str | None] | None:
    """The texts of days and moments, of which some are none of Python's; None when all are Python's."""
    kind = column.type
    if not (pa.types.is_date32(kind) or pa.types.is_timestamp(kind)) or not _any_beyond(column):
        return None
    pairs = zip(_numbers(column), column.cast(pa.string()).to_pylist(), strict=True)
    return [_text(n, kind) if n is not None and _is_beyond(n, kind) else text for n, text in pairs]


# ---- days, moments and times


def _moments(column: pa.Array) -> list[Any]:
    kind = column.type
    if pa.types.is_date64(kind):
        return list(column.to_pylist())
    numbers = _numbers(column) if _any_beyond(column) or _has_nanoseconds(kind) else []
    if _any_beyond(column):
        known = [None if n is None or _is_beyond(n, kind) else n for n in numbers]
        pairs = zip(numbers, _moments(pa.array(known, _integer(kind)).view(kind)), strict=True)
        return [_text(n, kind) if n is not None and _is_beyond(n, kind) else value for n, value in pairs]
    if _has_nanoseconds(kind):
        if any(number is not None and number % 1000 for number in numbers):
            return [None if number is None else _text(number, kind) for number in numbers]
        in_microseconds = pa.time64("us") if pa.types.is_time(kind) else pa.timestamp("us", kind.tz)
        return list(column.cast(in_microseconds).to_pylist())
    return list(column.to_pylist())


def _has_nanoseconds(kind: pa.DataType) -> bool:
    return not pa.types.is_date32(kind) and bool(kind.unit == "ns")


def _integer(kind: pa.DataType) -> pa.DataType:
    return pa.int32() if kind.bit_width == 32 else pa.int64()


def _numbers(column: pa.Array) -> list[int | None]:
    """How Arrow keeps days (as days) and moments and times (in their unit)."""
    return list(column.view(_integer(column.type)).to_pylist())


def _any_beyond(column: pa.Array) -> bool:
    bounds = pc.min_max(column.view(_integer(column.type))).as_py().values()
    return any(bound is not None and _is_beyond(bound, column.type) for bound in bounds)


def _is_beyond(number: int, kind: pa.DataType) -> bool:
    if pa.types.is_date32(kind):
        return not _FIRST <= number <= _LAST
    a_day = _DAY * _PER_SECOND[kind.unit]
    if pa.types.is_time(kind):
        return bool(number >= a_day)
    return not _FIRST <= number // a_day <= _LAST or _is_infinite(number, kind)


def _is_infinite(number: int, kind: pa.DataType) -> bool:
    """Whether DuckDB means infinity: by the largest number, and the one that is as far below zero."""
    return bool(abs(number) == 2 ** (kind.bit_width - 1) - 1)


def _text(number: int, kind: pa.DataType) -> str:
    if pa.types.is_time(kind):
        return _clock(number, _PER_SECOND[kind.unit])
    if _is_infinite(number, kind):
        return "infinity" if number > 0 else "-infinity"
    if pa.types.is_date32(kind):
        return _day(number)
    per_second = _PER_SECOND[kind.unit]
    days, of_day = divmod(number, _DAY * per_second)
    return f"{_day(days)} {_clock(of_day, per_second)}{'+00' if kind.tz else ''}"


def _day(days: int) -> str:
    cycles, rest = divmod(days, _CYCLE)
    day = _EPOCH + timedelta(days=rest)
    year = day.year + 400 * cycles
    return f"{year:04d}-{day:%m-%d}" if year > 0 else f"{1 - year:04d}-{day:%m-%d} (BC)"


def _clock(number: int, per_second: int) -> str:
    seconds, fraction = divmod(number, per_second)
    whole = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return whole + f".{fraction:0{len(str(per_second)) - 1}d}".rstrip("0") if fraction else whole


# ---- values of values


def _lists(column: pa.Array) -> list[Any]:
    return [values_of(one.values) if one.is_valid else None for one in column]


def _structs(column: pa.Array) -> list[Any]:
    """An object a row; a list where fields share a name, as those of DuckDB's row(1, 2), which have none."""
    names = [field.name for field in column.type]
    rows = zip(*(values_of(field) for field in column.flatten()), strict=True)
    has_each_once = len(set(names)) == len(names)
    made = [dict(zip(names, row, strict=True)) if has_each_once else list(row) for row in rows]
    return [row if valid else None for row, valid in zip(made, column.is_valid().to_pylist(), strict=True)]
