"""The footer of a Parquet file: the Thrift struct FileMetaData.

Published footers are read here and not by Arrow, some of whose C++ errors on damaged footers end the whole process.

Field names and numbers come from parquet.thrift in apache/parquet-format, without encryption and geospatial types. A
field that is not listed here is lost when a footer is read and written again.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, Self

from thrift.protocol.TBase import TBase
from thrift.protocol.TCompactProtocol import TCompactProtocol, TCompactProtocolAccelerated
from thrift.Thrift import TException, TType
from thrift.transport.TTransport import TMemoryBuffer

MAGIC = b"PAR1"
"""How a Parquet file begins and ends."""

TAIL = struct.Struct("<I4s")
"""How a Parquet file ends: with the length of the footer, and the magic bytes."""

_Kind = tuple[int, object]
"""A Thrift type code and, for a list, struct or binary, the details Thrift needs to read it."""

_Field = tuple[int, int, str, object, None]
"""Number, type code, name, details and default of a field, as Thrift's protocols expect them."""

_Spec = tuple[_Field | None, ...]
"""The fields of a struct, each at the index of its number."""


class _Struct(TBase):  # type: ignore[misc]
    """A Thrift struct with the fields of `thrift_spec`; a field that is not set is None."""

    thrift_spec: _Spec = ()

    def __init_subclass__(cls) -> None:
        for _, _, name, _, _ in filter(None, cls.thrift_spec):
            setattr(cls, name, None)  # once per class is cheaper than once per instance

    def __init__(self, **fields: object) -> None:
        self.__dict__.update(fields)

    def replaced(self, **changes: object) -> Self:
        """A copy with some fields replaced."""
        return type(self)(**vars(self) | changes)


def _spec(**fields: tuple[int, _Kind]) -> _Spec:
    """Build a `thrift_spec` from fields by name, each with its number and kind."""
    spec: list[_Field | None] = [None] * (max(number for number, _ in fields.values()) + 1)
    for name, (number, (kind, details)) in fields.items():
        spec[number] = (number, kind, name, details, None)
    return tuple(spec)


def _of(struct: type[_Struct]) -> _Kind:
    return TType.STRUCT, [struct, struct.thrift_spec]


def _list(items: _Kind) -> _Kind:
    return TType.LIST, (*items, False)


_BOOL: _Kind = (TType.BOOL, None)
_I8: _Kind = (TType.BYTE, None)
_I16: _Kind = (TType.I16, None)
_I32: _Kind = (TType.I32, None)
_I64: _Kind = (TType.I64, None)
_BINARY: _Kind = (TType.STRING, "BINARY")
_EMPTY: _Kind = _of(_Struct)


class _Decimal(_Struct):
    thrift_spec = _spec(scale=(1, _I32), precision=(2, _I32))


class _TimeUnit(_Struct):
    thrift_spec = _spec(MILLIS=(1, _EMPTY), MICROS=(2, _EMPTY), NANOS=(3, _EMPTY))


class _Time(_Struct):
    thrift_spec = _spec(isAdjustedToUTC=(1, _BOOL), unit=(2, _of(_TimeUnit)))


class _Int(_Struct):
    thrift_spec = _spec(bitWidth=(1, _I8), isSigned=(2, _BOOL))


class _LogicalType(_Struct):
    thrift_spec = _spec(
        STRING=(1, _EMPTY), MAP=(2, _EMPTY), LIST=(3, _EMPTY), ENUM=(4, _EMPTY), DECIMAL=(5, _of(_Decimal)),
        DATE=(6, _EMPTY), TIME=(7, _of(_Time)), TIMESTAMP=(8, _of(_Time)), INTEGER=(10, _of(_Int)),
        UNKNOWN=(11, _EMPTY), JSON=(12, _EMPTY), BSON=(13, _EMPTY), UUID=(14, _EMPTY), FLOAT16=(15, _EMPTY),
    )  # fmt: skip


class SchemaElement(_Struct):
    """A column of the schema, or a group of the `num_children` columns that follow; the first is the group of all."""

    thrift_spec = _spec(
        type=(1, _I32), type_length=(2, _I32), repetition_type=(3, _I32), name=(4, _BINARY), num_children=(5, _I32),
        converted_type=(6, _I32), scale=(7, _I32), precision=(8, _I32), field_id=(9, _I32),
        logicalType=(10, _of(_LogicalType)),
    )  # fmt: skip
    name: bytes
    num_children: int | None


class _Statistics(_Struct):
    thrift_spec = _spec(
        max=(1, _BINARY), min=(2, _BINARY), null_count=(3, _I64), distinct_count=(4, _I64), max_value=(5, _BINARY),
        min_value=(6, _BINARY), is_max_value_exact=(7, _BOOL), is_min_value_exact=(8, _BOOL), nan_count=(9, _I64),
    )  # fmt: skip


class _SizeStatistics(_Struct):
    thrift_spec = _spec(
        unencoded_byte_array_data_bytes=(1, _I64),
        repetition_level_histogram=(2, _list(_I64)),
        definition_level_histogram=(3, _list(_I64)),
    )


class _PageEncodingStats(_Struct):
    thrift_spec = _spec(page_type=(1, _I32), encoding=(2, _I32), count=(3, _I32))


class _KeyValue(_Struct):
    thrift_spec = _spec(key=(1, _BINARY), value=(2, _BINARY))
    key: bytes
    value: bytes | None


class _ColumnMetaData(_Struct):
    thrift_spec = _spec(
        type=(1, _I32), encodings=(2, _list(_I32)), path_in_schema=(3, _list(_BINARY)), codec=(4, _I32),
        num_values=(5, _I64), total_uncompressed_size=(6, _I64), total_compressed_size=(7, _I64),
        key_value_metadata=(8, _list(_of(_KeyValue))), data_page_offset=(9, _I64), index_page_offset=(10, _I64),
        dictionary_page_offset=(11, _I64), statistics=(12, _of(_Statistics)),
        encoding_stats=(13, _list(_of(_PageEncodingStats))), bloom_filter_offset=(14, _I64),
        bloom_filter_length=(15, _I32), size_statistics=(16, _of(_SizeStatistics)),
    )  # fmt: skip
    num_values: int
    total_uncompressed_size: int
    total_compressed_size: int
    data_page_offset: int
    dictionary_page_offset: int | None
    bloom_filter_offset: int | None
    bloom_filter_length: int | None


class ColumnChunk(_Struct):
    """The position, encoding and statistics of one column of one row group."""

    thrift_spec = _spec(
        file_path=(1, _BINARY), file_offset=(2, _I64), meta_data=(3, _of(_ColumnMetaData)),
        offset_index_offset=(4, _I64), offset_index_length=(5, _I32), column_index_offset=(6, _I64),
        column_index_length=(7, _I32),
    )  # fmt: skip
    meta_data: _ColumnMetaData
    offset_index_offset: int | None
    offset_index_length: int | None
    column_index_offset: int | None
    column_index_length: int | None

    @property
    def end(self) -> int:
        """The offset after its last byte in the file, and after those of its indexes and Bloom filter."""
        data = self.meta_data
        pieces = (
            (self.start, data.total_compressed_size),
            (self.offset_index_offset, self.offset_index_length),
            (self.column_index_offset, self.column_index_length),
            (data.bloom_filter_offset, data.bloom_filter_length),
        )
        return max((start or 0) + (length or 0) for start, length in pieces)

    @property
    def start(self) -> int:
        """The offset of its first byte in the file."""
        return self.meta_data.dictionary_page_offset or self.meta_data.data_page_offset

    def moved_to(self, start: int) -> ColumnChunk:
        """The entry of the same chunk at offset `start`. It must have no page index and no Bloom filter."""
        data, dictionary = self.meta_data.data_page_offset, self.meta_data.dictionary_page_offset
        moved = self.meta_data.replaced(
            data_page_offset=data + start - self.start, dictionary_page_offset=dictionary and start
        )
        return self.replaced(meta_data=moved)


class _SortingColumn(_Struct):
    thrift_spec = _spec(column_idx=(1, _I32), descending=(2, _BOOL), nulls_first=(3, _BOOL))


class RowGroup(_Struct):
    """The footer entry of one row group."""

    thrift_spec = _spec(
        columns=(1, _list(_of(ColumnChunk))), total_byte_size=(2, _I64), num_rows=(3, _I64),
        sorting_columns=(4, _list(_of(_SortingColumn))), file_offset=(5, _I64), total_compressed_size=(6, _I64),
        ordinal=(7, _I16),
    )  # fmt: skip
    columns: list[ColumnChunk]
    num_rows: int


class _ColumnOrder(_Struct):
    thrift_spec = _spec(TYPE_ORDER=(1, _EMPTY), IEEE_754_TOTAL_ORDER=(2, _EMPTY), INT96_TIMESTAMP_ORDER=(3, _EMPTY))


class FileMetaData(_Struct):
    """The whole footer."""

    thrift_spec = _spec(
        version=(1, _I32), schema=(2, _list(_of(SchemaElement))), num_rows=(3, _I64),
        row_groups=(4, _list(_of(RowGroup))), key_value_metadata=(5, _list(_of(_KeyValue))), created_by=(6, _BINARY),
        column_orders=(7, _list(_of(_ColumnOrder))),
    )  # fmt: skip
    row_groups: list[RowGroup]
    schema: list[SchemaElement]
    key_value_metadata: list[_KeyValue] | None
    created_by: bytes | None

    @classmethod
    def parse(cls, footer: bytes, *, trusted: bool = True) -> FileMetaData:
        """Parse the bytes of a footer; one that is not `trusted` by slower code that cannot crash.

        Raises one of a dozen errors (see `read`) for bytes that are not exactly a footer.
        """
        metadata, transport = cls(), TMemoryBuffer(footer)
        protocol = TCompactProtocolAccelerated if trusted else TCompactProtocol
        metadata.read(protocol(transport))
        if transport.read(1):
            raise ValueError("the footer goes on after its end")
        return metadata

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, without those inside of nested ones."""
        names, skipped = [], 0
        for element in self.schema[1:]:
            if skipped:
                skipped -= 1
            else:
                names.append(element.name.decode())
            skipped += element.num_children or 0
        return tuple(names)

    @property
    def described_end(self) -> int:
        """The offset after the last byte that the footer describes: where it begins itself, in most files."""
        return max((chunk.end for group in self.row_groups for chunk in group.columns), default=len(MAGIC))

    @property
    def metadata(self) -> dict[bytes, bytes]:
        """The key-value metadata."""
        return {entry.key: entry.value or b"" for entry in self.key_value_metadata or []}

    def serialize(self) -> bytes:
        """The bytes of this footer."""
        transport = TMemoryBuffer()
        self.write(TCompactProtocolAccelerated(transport))
        footer: bytes = transport.getvalue()
        return footer

    def with_row_groups(self, groups: list[RowGroup], metadata: dict[bytes, bytes]) -> FileMetaData:
        """A copy of this footer with these row groups and this key-value metadata."""
        return self.replaced(
            num_rows=sum(group.num_rows for group in groups),
            row_groups=groups,
            key_value_metadata=[_KeyValue(key=key, value=value) for key, value in metadata.items()],
        )


class DamagedError(ValueError):
    """A footer is not there or cannot be read. The message is a few words for people."""


_NOT_A_FOOTER = (
    EOFError, TException, LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError,
    struct.error,
)  # fmt: skip
"""What Thrift's pure Python code raises for bytes that are no footer."""


def read(file: BinaryIO) -> FileMetaData:
    """The footer of `file`, which is checked to have all that is read here. Raises DamagedError."""
    size = file.seek(0, 2)
    if size < 2 * TAIL.size:
        raise DamagedError("it is too short")
    file.seek(size - TAIL.size)
    length, magic = TAIL.unpack(file.read(TAIL.size))
    if magic != MAGIC:
        raise DamagedError("its end is missing")
    if length > size - TAIL.size - len(MAGIC):
        raise DamagedError("its footer is longer than the file")
    file.seek(size - TAIL.size - length)
    try:
        footer = FileMetaData.parse(file.read(length), trusted=False)
        _ = footer.column_names, footer.metadata, footer.described_end
        _ = [column.meta_data.total_compressed_size + 0 for group in footer.row_groups for column in group.columns]
    except _NOT_A_FOOTER as error:
        raise DamagedError("its footer cannot be read") from error
    return footer
