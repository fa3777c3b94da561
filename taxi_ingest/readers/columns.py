"""Convert text to canonical values, one column at a time.

Arrow's own cast defines the value of a text, so a string column and Arrow's CSV parser give the same result. In
addition, surrounding white space is dropped, `1.0` is the whole number 1, the catalog's text codes become TLC's codes,
NaN is null, infinity is no number, and times are cut to microseconds.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from taxi_ingest.catalog import Column, fold
from taxi_ingest.readers.canonical import arrow_type

_EXPECTED = {"int64": "a whole number", "double": "a number", "timestamp": "a date and time"}

# Text that the cast always accepts; any other text is tried.
_ALWAYS_CASTS = {
    "int64": r"^-?\d{1,18}$",
    "double": r"^-?\d{1,15}(\.\d{1,17})?$",
    "timestamp": (
        r"^[12]\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
        r" ([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?$"
    ),
}

_NAN_TEXT = r"(?i)^[+-]?nan$"
_FINER_THAN_MICROSECONDS = r"(:\d\d\.\d{6})(\d{1,3})$"

_HEXADECIMAL = r"^\s*[+-]?0[xX]"
"""What Arrow takes for a whole number, and nobody means as one."""

_WHOLE_DECIMAL = r"^-?\d{1,15}\.0*$"
_LARGEST_EXACT = 2.0**53

_PROBE = 32
"""How many texts are cast first, to find out cheaply that a column does not cast."""

_MIN_HALF = 512
"""Halves with fewer texts are not worth a cast of their own."""


Change = Literal["NaN became null", "NaT became null", "digits below the microsecond were cut"]
"""What may be changed in a value on purpose; each is counted."""

CUT: Change = "digits below the microsecond were cut"
NAN: Change = "NaN became null"
NAT: Change = "NaT became null"


@dataclass(frozen=True)
class Converted:
    """A column in its canonical type, of the same length as its texts.

    `bad` is true where a text has no value in this type (the value is null), or None if there is no such text.
    `unknown` counts the trimmed text codes that the catalog does not have (null, but not bad), `changed` the values
    that were changed. `direct` is true if every text cast as it is, so that the CSV parser could have read the column
    in its type.
    """

    array: pa.Array
    bad: pa.BooleanArray | None = None
    unknown: Counter[str] = field(default_factory=Counter)
    changed: Counter[Change] = field(default_factory=Counter)
    direct: bool = False

    @property
    def notable(self) -> bool:
        """Whether there is anything to count."""
        return bool(self.unknown or self.changed)


def has_finite_sum(numbers: pa.Array | pa.ChunkedArray) -> bool:
    """Whether the sum of a column is finite. If so, it has neither NaN nor infinity, and this is the fastest test."""
    total = pc.sum(numbers).as_py()
    return total is None or math.isfinite(total)


def nan_to_null(numbers: pa.FloatingPointArray) -> tuple[pa.FloatingPointArray, Counter[Change]]:
    """The numbers with null in place of NaN, and how many there were."""
    nans = pc.is_nan(numbers)
    count = nans.true_count
    if not count:
        return numbers, Counter()
    return pc.if_else(nans, pa.scalar(None, numbers.type), numbers), Counter({NAN: count})


def convert(texts: pa.StringArray | pa.DictionaryArray, column: Column) -> Converted:
    """Convert an Arrow array of strings (null: empty cell) to the canonical type of `column`.

    The strings of a text column may be dictionary-encoded. A bad value never raises: see `Converted`.
    """
    if column.type == "string":
        encoded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
        if column.codes:
            return _apply_text_codes(encoded, column)
        return Converted(_with_dictionary(encoded, trimmed(encoded.dictionary)))
    values = _try_cast(texts, column)
    return _convert_dirty(texts, column) if values is None else Converted(values, direct=True)


def reject_reason(column: Column, text: str | None) -> str:
    """The reject reason for a bad text; a long text is shortened."""
    shown = (text or "").strip()
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return f"{column.name}: '{shown}' is not {_EXPECTED[column.type]}"


def trimmed(texts: pa.StringArray) -> pa.StringArray:
    """Strip surrounding ASCII white space; empty texts become null."""
    texts = pc.ascii_trim_whitespace(texts)
    empty = pc.equal(texts, "")
    if empty.true_count:
        texts = pc.if_else(empty, pa.scalar(None, pa.string()), texts)
    return texts


def _try_cast(texts: pa.StringArray, column: Column) -> pa.Array | None:
    """Cast all texts as they are; None if one of them does not cast."""
    try:
        pc.cast(texts[:_PROBE], arrow_type(column))  # a failing cast is slowest when all texts fail: a few show that
        values = pc.cast(texts, arrow_type(column))
    except pa.ArrowInvalid:
        return None
    if column.type == "int64" and pc.any(pc.match_substring_regex(texts, _HEXADECIMAL)).as_py():
        return None
    return values if column.type != "double" or has_finite_sum(values) else None


def _convert_dirty(texts: pa.StringArray, column: Column) -> Converted:
    """Convert texts of which some do not cast, in halves while one half casts: most good texts take the fast path."""
    middle = len(texts) // 2
    if middle >= _MIN_HALF:
        first, last = _try_cast(texts[:middle], column), _try_cast(texts[middle:], column)
        if first is not None:
            return _concatenate(Converted(first), _convert_dirty(texts[middle:], column))
        if last is not None:
            return _concatenate(_convert_dirty(texts[:middle], column), Converted(last))
    return _convert_uniques(trimmed(texts), column)


def _concatenate(first: Converted, last: Converted) -> Converted:
    bad = None
    if first.bad is not None or last.bad is not None:
        masks = (pa.repeat(False, len(c.array)) if c.bad is None else c.bad for c in (first, last))
        bad = pa.concat_arrays(list(masks))
    array = pa.concat_arrays([first.array, last.array])
    return Converted(array, bad, first.unknown + last.unknown, first.changed + last.changed)


def _convert_uniques(texts: pa.StringArray, column: Column) -> Converted:
    encoded = texts.dictionary_encode()
    indices = encoded.indices
    uniques, changed = _change_uniques(encoded, column)
    values = _unique_values(uniques, column)
    unconverted = _unconverted(uniques, values)
    if not unconverted.true_count:
        return Converted(values.take(indices), changed=changed)
    if not column.codes:
        return Converted(values.take(indices), pc.fill_null(unconverted.take(indices), False), changed=changed)
    values, unknown = _apply_codes(uniques, values, unconverted, column)
    return Converted(values.take(indices), None, _occurrences(uniques, indices, unknown), changed)


def _change_uniques(encoded: pa.DictionaryArray, column: Column) -> tuple[pa.StringArray, Counter[Change]]:
    """The unique texts without NaN and without digits below the microsecond, and how many rows that changes."""
    uniques = encoded.dictionary
    if column.type == "timestamp":
        finer = pc.match_substring_regex(uniques, _FINER_THAN_MICROSECONDS)
        if not finer.true_count:
            return uniques, Counter()
        lossy = pc.match_substring_regex(uniques, r"\.\d{6}0*[1-9]\d*$")
        cut = pc.replace_substring_regex(uniques, _FINER_THAN_MICROSECONDS, r"\1")
        return cut, Counter({CUT: _rows_of(encoded, lossy)})
    nan = pc.match_substring_regex(uniques, _NAN_TEXT)
    if not nan.true_count:
        return uniques, Counter()
    return _only_where(pc.invert(nan), uniques), Counter({NAN: _rows_of(encoded, nan)})


def _rows_of(encoded: pa.DictionaryArray, chosen: pa.BooleanArray) -> int:
    """How many rows have one of the `chosen` unique texts."""
    rows: int = chosen.take(encoded.indices).true_count
    return rows


def _unique_values(uniques: pa.StringArray, column: Column) -> pa.Array:
    """The value of each unique text, null if it has none."""
    kind = arrow_type(column)
    sure = pc.match_substring_regex(uniques, _ALWAYS_CASTS[column.type])
    values = pc.cast(_only_where(sure, uniques), kind)
    if column.type == "int64":
        whole = pc.match_substring_regex(uniques, _WHOLE_DECIMAL)
        values = pc.coalesce(values, pc.cast(pc.cast(_only_where(whole, uniques), pa.float64()), kind))
    unconverted = _unconverted(uniques, values)
    if unconverted.true_count:
        rest = _cast_each(uniques.filter(unconverted), column)
        values = pc.replace_with_mask(values, unconverted, rest)
    if column.type == "int64":
        values = pc.if_else(pc.match_substring_regex(uniques, _HEXADECIMAL), pa.scalar(None, kind), values)
    if column.type == "double" and not has_finite_sum(values):
        values = pc.if_else(pc.is_finite(values), values, pa.scalar(None, kind))
    return values


def _only_where(mask: pa.BooleanArray, texts: pa.StringArray) -> pa.StringArray:
    return pc.if_else(mask, texts, pa.scalar(None, pa.string()))


def _unconverted(texts: pa.StringArray, values: pa.Array) -> pa.BooleanArray:
    """True where there is a text but no value."""
    return pc.and_(pc.is_valid(texts), pc.is_null(values))


def _cast_each(texts: pa.StringArray, column: Column) -> pa.Array:
    """Cast the texts that can be cast, splitting in halves, so that a few bad texts among many need few casts."""
    kind = arrow_type(column)
    try:
        return pc.cast(texts, kind)
    except pa.ArrowInvalid:
        if len(texts) == 1:
            whole = _parse_whole(texts[0].as_py()) if column.type == "int64" else None
            return pa.array([whole], kind)
    half = len(texts) // 2
    return pa.concat_arrays([_cast_each(texts[:half], column), _cast_each(texts[half:], column)])


def _parse_whole(text: str) -> int | None:
    """Parse a whole number in another notation (`+1`, `1e3`); None if it is not one."""
    try:
        number = pc.cast(pa.scalar(text), pa.float64()).as_py()
        exact = Decimal(text)
    except (pa.ArrowInvalid, InvalidOperation):  # Decimal knows neither nan(1) nor exponents of twenty digits
        return None
    if not abs(number) <= _LARGEST_EXACT or exact != exact.to_integral_value():  # NaN fails the first comparison
        return None
    return int(exact)


def _apply_codes(
    uniques: pa.StringArray, values: pa.Int64Array, unconverted: pa.BooleanArray, column: Column
) -> tuple[pa.Int64Array, set[str]]:
    """Replace unconverted texts by the catalog's numeric codes; also return the texts without a code."""
    unknown: set[str] = set()
    codes: list[int | None] = []
    for text in uniques.filter(unconverted).to_pylist():
        code = column.codes.get(fold(text))
        if code is None:
            unknown.add(text)
        codes.append(int(code) if code not in {None, ""} else None)
    return pc.replace_with_mask(values, unconverted, pa.array(codes, pa.int64())), unknown


def _apply_text_codes(encoded: pa.DictionaryArray, column: Column) -> Converted:
    own = {fold(str(code)): str(code) for code in column.codes.values() if code != ""}
    unknown: set[str] = set()
    values: list[str | None] = []
    for text in trimmed(encoded.dictionary).to_pylist():
        code = "" if text is None else column.codes.get(fold(text), own.get(fold(text)))
        if code is None:
            unknown.add(text)
        values.append(str(code) if code not in {None, ""} else None)
    array = _with_dictionary(encoded, pa.array(values, pa.string()))
    return Converted(array, None, _occurrences(encoded.dictionary, encoded.indices, unknown))


def _with_dictionary(encoded: pa.DictionaryArray, texts: pa.StringArray) -> pa.DictionaryArray:
    """Replace the dictionary entries by `texts`, so that the new dictionary has neither duplicates nor nulls."""
    unique = texts.dictionary_encode()
    indices = encoded.indices
    if len(unique.dictionary) < len(texts):  # Parquet's writer mishandles null and duplicate entries
        indices = unique.indices.take(indices)
    return pa.DictionaryArray.from_arrays(indices.cast(pa.int32()), unique.dictionary, safe=False)


def _occurrences(uniques: pa.StringArray, indices: pa.IntegerArray, wanted: set[str]) -> Counter[str]:
    """Count the occurrences of each wanted text, after trimming."""
    found: Counter[str] = Counter()
    if not wanted:
        return found
    texts = trimmed(uniques).to_pylist()
    for item in pc.value_counts(indices.drop_null()).to_pylist():
        if (text := texts[item["values"]]) in wanted:
            found[text] += item["counts"]
    return found
