"""Canonical columns as Arrow has them: types, schemas, and what of a table is not published."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from taxi_ingest.catalog import Column

# Texts repeat: dictionary-encoded, each is converted once, and Parquet stores the dictionary as it is.
_TYPES: dict[str, pa.DataType] = {
    "int64": pa.int64(),
    "double": pa.float64(),
    "string": pa.dictionary(pa.int32(), pa.string()),
    "timestamp": pa.timestamp("us"),
}


def arrow_type(column: Column) -> pa.DataType:
    """The Arrow type of a canonical column; text is dictionary-encoded."""
    return _TYPES[column.type]


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """The Arrow schema of canonical columns, in their order."""
    return pa.schema([(column.name, arrow_type(column)) for column in columns])


def plain(schema: pa.Schema) -> pa.Schema:
    """The same schema with text as it is read, not dictionary-encoded."""
    return pa.schema([f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in schema])


def nulls(rows: int, kind: pa.DataType) -> pa.Array:
    """An Arrow array of nulls. Arrays of similar length share one cached buffer, which is zeroed only once."""
    return _nulls(1 << rows.bit_length(), kind)[:rows]


@lru_cache(maxsize=16)
def _nulls(rows: int, kind: pa.DataType) -> pa.Array:
    return pa.nulls(rows, kind)


def with_null_columns(schema: pa.Schema, published: Mapping[str, pa.Array | pa.ChunkedArray], rows: int) -> pa.Table:
    """All columns of `schema` in order, those not published as nulls; each has `rows` rows."""
    arrays = [published[f.name] if f.name in published else nulls(rows, f.type) for f in schema]
    return pa.table(arrays, schema=schema)


def rows_with_a_value(columns: Sequence[pa.Array | pa.ChunkedArray]) -> pa.BooleanArray | None:
    """Where any of the columns has a value; None when that is everywhere."""
    if any(not column.null_count for column in columns):
        return None
    filled = functools.reduce(pc.or_, map(pc.is_valid, columns))
    if isinstance(filled, pa.ChunkedArray):
        filled = filled.combine_chunks()
    return filled if filled.false_count else None


def all_but(rows: Iterable[int], total: int) -> pa.BooleanArray:
    """A mask of length `total` that is false at the positions `rows` and true elsewhere."""
    keep = bytearray(b"\x01") * total
    for row in rows:
        keep[row] = 0
    return pc.cast(pa.Array.from_buffers(pa.uint8(), total, [None, pa.py_buffer(keep)]), pa.bool_())
