"""Text to canonical values, one column at a time.

What a text means is what Arrow's own cast says, so that text read from a string column and text read by Arrow's
CSV parser come out alike. On top of that: surrounding white space is dropped, `1.0` is the whole number 1, and the
text codes of the catalog become TLC's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from taxi_ingest.catalog import Column, fold

# Texts repeat: as dictionaries each is looked at once, and Parquet takes them as they are.
_TYPES: dict[str, pa.DataType] = {
    "int64": pa.int64(),
    "double": pa.float64(),
    "string": pa.dictionary(pa.int32(), pa.string()),
    "timestamp": pa.timestamp("us"),
}

_WANTED = {"int64": "a whole number", "double": "a number", "timestamp": "a date and time"}

# Text that the cast is certain to accept; whatever else there is, is tried.
_SURE = {
    "int64": r"^-?\d{1,18}$",
    "double": r"^-?\d{1,15}(\.\d{1,17})?$",
    "timestamp": (
        r"^[12]\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
        r" ([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?$"
    ),
}

_WHOLE_DECIMAL = r"^-?\d{1,15}\.0*$"
_LARGEST_EXACT = 2.0**53

_HEAD = 32
_SMALL = 512
"""Fewer texts are not worth another cast."""


@dataclass(frozen=True)
class Converted:
    """A column in its canonical type, as long as the text it came from.

    `bad` is None, or true where a text means nothing (the value is null there); `unknown` counts the text codes
    that the catalog does not know (null as well, but not bad), each trimmed; `direct` says that the texts were
    values as they stood, so that the CSV parser could as well have read the column in its type.
    """

    array: pa.Array
    bad: pa.BooleanArray | None = None
    unknown: Counter[str] = field(default_factory=Counter)
    direct: bool = False


def arrow_type(column: Column) -> pa.DataType:
    """The Arrow type of a canonical column; text is dictionary-encoded."""
    return _TYPES[column.type]


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """The Arrow schema of canonical columns."""
    return pa.schema([(column.name, arrow_type(column)) for column in columns])


def nulls(rows: int, kind: pa.DataType) -> pa.Array:
    """An Arrow array of nulls; arrays of a size share their memory, which is then cleared only once."""
    return _nulls(1 << rows.bit_length(), kind)[:rows]


@lru_cache(maxsize=16)
def _nulls(rows: int, kind: pa.DataType) -> pa.Array:
    return pa.nulls(rows, kind)


def with_null_columns(schema: pa.Schema, published: Mapping[str, pa.Array | pa.ChunkedArray], rows: int) -> pa.Table:
    """All columns of `schema` in order, those not published as nulls; each has `rows` rows."""
    arrays = [published[f.name] if f.name in published else nulls(rows, f.type) for f in schema]
    return pa.table(arrays, schema=schema)


def all_but(rows: Iterable[int], total: int) -> pa.BooleanArray:
    """A mask of length `total` that is false at the positions `rows` and true elsewhere."""
    keep = bytearray(b"\x01") * total
    for row in rows:
        keep[row] = 0
    return pc.cast(pa.Array.from_buffers(pa.uint8(), total, [None, pa.py_buffer(keep)]), pa.bool_())


def convert(texts: pa.StringArray | pa.DictionaryArray, column: Column) -> Converted:
    """Turn an Arrow array of strings (null = empty) into the canonical type of `column`.

    The strings of a text column may be dictionary-encoded. Never raises for a value.
    """
    if column.type == "string":
        encoded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
        if column.codes:
            return _coded_text(encoded, column)
        return Converted(_relabelled(encoded, trimmed(encoded.dictionary)))
    values = _cast(texts, column)
    return _dirty(texts, column) if values is None else Converted(values, direct=True)


def complaint(column: Column, text: str | None) -> str:
    """Why a text is bad, for a person."""
    shown = (text or "").strip()
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return f"{column.name}: '{shown}' is not {_WANTED[column.type]}"


def trimmed(texts: pa.StringArray) -> pa.StringArray:
    """Without surrounding white space (of ASCII); what is then empty is null."""
    texts = pc.ascii_trim_whitespace(texts)
    empty = pc.equal(texts, "")
    if empty.true_count:
        texts = pc.if_else(empty, pa.scalar(None, pa.string()), texts)
    return texts


def _cast(texts: pa.StringArray, column: Column) -> pa.Array | None:
    """The values of texts that are values as they stand; None if one of them is not."""
    try:
        pc.cast(texts[:_HEAD], arrow_type(column))  # a cast costs most when all fail, which the first ones show
        return pc.cast(texts, arrow_type(column))
    except pa.ArrowInvalid:
        return None


def _dirty(texts: pa.StringArray, column: Column) -> Converted:
    """Convert texts that do not cast: by halves as long as one of them does, which spares most of a few bad ones."""
    middle = len(texts) // 2
    if middle >= _SMALL:
        first, last = _cast(texts[:middle], column), _cast(texts[middle:], column)
        if first is not None:
            return _joined(Converted(first), _dirty(texts[middle:], column))
        if last is not None:
            return _joined(_dirty(texts[:middle], column), Converted(last))
    return _by_unique(trimmed(texts), column)


def _joined(first: Converted, last: Converted) -> Converted:
    bad = None
    if first.bad is not None or last.bad is not None:
        masks = (pa.repeat(False, len(c.array)) if c.bad is None else c.bad for c in (first, last))
        bad = pa.concat_arrays(list(masks))
    return Converted(pa.concat_arrays([first.array, last.array]), bad, first.unknown + last.unknown)


def _by_unique(texts: pa.StringArray, column: Column) -> Converted:
    encoded = texts.dictionary_encode()
    uniques, indices = encoded.dictionary, encoded.indices
    values = _values(uniques, column)
    lost = _lost(uniques, values)
    if not lost.true_count:
        return Converted(values.take(indices))
    if not column.codes:
        return Converted(values.take(indices), pc.fill_null(lost.take(indices), False))
    values, unknown = _coded(uniques, values, lost, column)
    return Converted(values.take(indices), None, _occurrences(uniques, indices, unknown))


def _values(uniques: pa.StringArray, column: Column) -> pa.Array:
    """Each unique text as its value, or null if it means none."""
    kind = arrow_type(column)
    sure = pc.match_substring_regex(uniques, _SURE[column.type])
    values = pc.cast(_where(sure, uniques), kind)
    if column.type == "int64":
        whole = pc.match_substring_regex(uniques, _WHOLE_DECIMAL)
        values = pc.coalesce(values, pc.cast(pc.cast(_where(whole, uniques), pa.float64()), kind))
    lost = _lost(uniques, values)
    if lost.true_count:
        rest = _tried(uniques.filter(lost), column)
        values = pc.replace_with_mask(values, lost, rest)
    return values


def _where(mask: pa.BooleanArray, texts: pa.StringArray) -> pa.StringArray:
    return pc.if_else(mask, texts, pa.scalar(None, pa.string()))


def _lost(texts: pa.StringArray, values: pa.Array) -> pa.BooleanArray:
    """Where there is a text but no value."""
    return pc.and_(pc.is_valid(texts), pc.is_null(values))


def _tried(texts: pa.StringArray, column: Column) -> pa.Array:
    """Cast what can be cast, by halves, so that a few bad texts among many cost few casts."""
    kind = arrow_type(column)
    try:
        return pc.cast(texts, kind)
    except pa.ArrowInvalid:
        if len(texts) == 1:
            whole = _whole(texts[0].as_py()) if column.type == "int64" else None
            return pa.array([whole], kind)
    half = len(texts) // 2
    return pa.concat_arrays([_tried(texts[:half], column), _tried(texts[half:], column)])


def _whole(text: str) -> int | None:
    """A whole number written in another way (`+1`, `1e3`)."""
    try:
        number = pc.cast(pa.scalar(text), pa.float64()).as_py()
    except pa.ArrowInvalid:
        return None
    whole = abs(number) <= _LARGEST_EXACT and number == int(number)  # NaN fails the first comparison
    return int(number) if whole else None


def _coded(
    uniques: pa.StringArray, values: pa.Int64Array, lost: pa.BooleanArray, column: Column
) -> tuple[pa.Int64Array, set[str]]:
    """Numbers for the texts that are no numbers, by the catalog's codes; and the texts it does not know."""
    unknown: set[str] = set()
    codes: list[int | None] = []
    for text in uniques.filter(lost).to_pylist():
        code = column.codes.get(fold(text))
        if code is None:
            unknown.add(text)
        codes.append(int(code) if code not in {None, ""} else None)
    return pc.replace_with_mask(values, lost, pa.array(codes, pa.int64())), unknown


def _coded_text(encoded: pa.DictionaryArray, column: Column) -> Converted:
    own = {fold(str(code)): str(code) for code in column.codes.values() if code != ""}
    unknown: set[str] = set()
    values: list[str | None] = []
    for text in trimmed(encoded.dictionary).to_pylist():
        code = "" if text is None else column.codes.get(fold(text), own.get(fold(text)))
        if code is None:
            unknown.add(text)
        values.append(str(code) if code not in {None, ""} else None)
    array = _relabelled(encoded, pa.array(values, pa.string()))
    return Converted(array, None, _occurrences(encoded.dictionary, encoded.indices, unknown))


def _relabelled(encoded: pa.DictionaryArray, texts: pa.StringArray) -> pa.DictionaryArray:
    """The same rows with other `texts` for the entries of the dictionary, each text once and none null."""
    unique = texts.dictionary_encode()
    indices = encoded.indices
    if len(unique.dictionary) < len(texts):  # Parquet's writer would mistake entries that are null or come twice
        indices = unique.indices.take(indices)
    return pa.DictionaryArray.from_arrays(indices.cast(pa.int32()), unique.dictionary, safe=False)


def _occurrences(uniques: pa.StringArray, indices: pa.IntegerArray, wanted: set[str]) -> Counter[str]:
    """How often each wanted (trimmed) text occurs."""
    found: Counter[str] = Counter()
    if not wanted:
        return found
    texts = trimmed(uniques).to_pylist()
    for item in pc.value_counts(indices.drop_null()).to_pylist():
        if (text := texts[item["values"]]) in wanted:
            found[text] += item["counts"]
    return found
